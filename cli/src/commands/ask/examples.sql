-- The largest files
SELECT path, size FROM files ORDER BY size DESC LIMIT 10;

-- Where the room goes, by kind
SELECT kind, count(*) AS files, sum(size) AS bytes FROM files GROUP BY kind ORDER BY bytes DESC;

-- Notes of the last week
SELECT path, title, modified FROM notes WHERE modified > now() - INTERVAL 7 DAY ORDER BY modified DESC;

-- What is due until Sunday
SELECT due, text, path FROM tasks WHERE status = 'open' AND due < date_trunc('week', today()) + INTERVAL 7 DAY ORDER BY due;

-- Open tasks of people, with their numbers
SELECT c.name, c.phone, t.text FROM tasks t JOIN contacts c ON contains(lower(t.text), lower(c.given)) WHERE t.status = 'open';

-- Birthdays this month
SELECT name, birth_day FROM contacts WHERE birth_month = extract('month' FROM today()) ORDER BY birth_day;

-- Links that lead nowhere
SELECT path, line, target FROM links WHERE state = 'dangling' ORDER BY path, line;

-- Notes that no note links to
SELECT path FROM notes WHERE path NOT IN (SELECT to_path FROM links WHERE to_path IS NOT NULL) ORDER BY path;

-- Tags and how many files have them
SELECT tag, count(*) AS files FROM tags GROUP BY tag ORDER BY files DESC;

-- Files that are there more than once
SELECT size, list(path) AS paths FROM files WHERE duplicates > 0 GROUP BY content_hash, size ORDER BY size DESC;

-- The best notes about something, with when they changed
SELECT rank, path, title, modified FROM search('garden') JOIN notes USING (path) ORDER BY rank LIMIT 10;

-- Who changed what today
SELECT recorded, device, action, path, delta FROM history WHERE recorded >= today() ORDER BY recorded DESC;

-- What the front matter says
SELECT path, front_matter->>'$.author' AS author FROM notes WHERE front_matter IS NOT NULL;

-- What could not be read
SELECT path, line, reason FROM problems ORDER BY path, line;
