-- What the index keeps, in schema base, and the views over it, which are its interface: docs/views.md says each column.
-- Names of files stand in base.files, a row for each; all else is kept by the file's number, so that a renamed folder
-- touches no text. A note's body is a number: the texts themselves stand beside the tables (texts/).
CREATE SCHEMA base;

CREATE TABLE base.files(
    node BIGINT, file BIGINT, path VARCHAR, name VARCHAR, extension VARCHAR, kind VARCHAR, size BIGINT,
    created TIMESTAMP, modified TIMESTAMP, recorded TIMESTAMP, versions BIGINT, device INTEGER, tags VARCHAR[],
    content VARCHAR, conflict VARCHAR, here BOOLEAN, names BIGINT, id VARCHAR);
CREATE TABLE base.notes(
    file BIGINT, title VARCHAR, body BIGINT, words BIGINT, heading_levels TINYINT[], heading_texts VARCHAR[],
    heading_lines INTEGER[], tags VARCHAR[], front_matter VARCHAR, links BIGINT, tasks BIGINT, format VARCHAR);
CREATE TABLE base.links(
    file BIGINT, line INTEGER, kind VARCHAR, target VARCHAR, fragment VARCHAR, "text" VARCHAR, is_wiki BOOLEAN,
    key VARCHAR, leads TINYINT, to_node BIGINT);
CREATE TABLE base.tasks(
    file BIGINT, line INTEGER, "text" VARCHAR, status VARCHAR, due DATE, scheduled DATE, starts DATE, done DATE,
    cancelled DATE, created DATE, due_at TIMESTAMP, priority TINYINT, tags VARCHAR[], project VARCHAR,
    recurrence VARCHAR, section VARCHAR, source VARCHAR, symbol VARCHAR, task_id VARCHAR, raw VARCHAR);
CREATE TABLE base.contacts(
    file BIGINT, line INTEGER, name VARCHAR, given VARCHAR, family VARCHAR, nicknames VARCHAR[], emails VARCHAR[],
    phones VARCHAR[], addresses VARCHAR[], organisation VARCHAR, title VARCHAR, birthday DATE, birth_month TINYINT,
    birth_day TINYINT, categories VARCHAR[], note VARCHAR, urls VARCHAR[], uid VARCHAR, properties VARCHAR);
CREATE TABLE base.events(
    file BIGINT, line INTEGER, summary VARCHAR, description VARCHAR, location VARCHAR, starts TIMESTAMP,
    ends TIMESTAMP, all_day BOOLEAN, zone VARCHAR, recurrence VARCHAR, status VARCHAR, organizer VARCHAR,
    attendees VARCHAR[], categories VARCHAR[], url VARCHAR, uid VARCHAR, properties VARCHAR);
CREATE TABLE base.problems(file BIGINT, line INTEGER, reason VARCHAR);
-- Contents that more than one file has.
CREATE TABLE base.same(content VARCHAR, files BIGINT);
-- What is to be deleted, while it is.
CREATE TABLE base.keys(key BIGINT);
CREATE TABLE base.devices(
    device INTEGER, name VARCHAR, is_this BOOLEAN, state VARCHAR, device_id VARCHAR);
CREATE TABLE base.history(
    file BIGINT, path VARCHAR, version BIGINT, recorded TIMESTAMP, modified TIMESTAMP, action VARCHAR, device INTEGER,
    program VARCHAR, size BIGINT, delta BIGINT, kept BOOLEAN, id VARCHAR);
CREATE TABLE base.blobs(blob VARCHAR, size BIGINT, stored BIGINT, refs BIGINT, here BOOLEAN);
CREATE TABLE base.about(
    version INTEGER, complete BOOLEAN, files_known BIGINT, files_read BIGINT, zone VARCHAR);

CREATE VIEW files AS
    SELECT f.path,
           CASE WHEN length(f.path) > length(f.name)
                THEN left(f.path, length(f.path) - length(f.name) - 1) ELSE '' END AS folder,
           f.name, f.extension, f.kind, f.size, f.created, f.modified, f.recorded, f.versions, d.name AS device,
           f.tags, f.content AS content_hash, coalesce(s.files - 1, 0) AS duplicates, f.conflict, f.here,
           f.names AS links, f.id
    FROM base.files f
    LEFT JOIN base.devices d ON f.device = d.device
    LEFT JOIN base.same s ON f.content = s.content;
CREATE VIEW notes AS
    SELECT f.path,
           coffer_title(n.title, f.name, f.extension) AS title,
           coffer_text(n.body) AS body, n.words,
           list_transform(list_zip(n.heading_levels, n.heading_texts, n.heading_lines),
                          lambda h: {'level': h[1], 'text': h[2], 'line': h[3]}) AS headings,
           n.tags, n.front_matter::JSON AS front_matter, n.links, n.tasks, n.format, f.created, f.modified, f.id
    FROM base.notes n JOIN base.files f ON n.file = f.file;
CREATE VIEW links AS
    SELECT f.path, l.line, l.kind, l.target, l.fragment, l."text",
           CASE l.leads WHEN 0 THEN 'dangling' WHEN 1 THEN 'resolved' ELSE 'web' END AS state,
           CASE WHEN l.leads <> 1 THEN NULL WHEN l.to_node IS NULL THEN f.path ELSE t.path END AS to_path, f.id
    FROM base.links l JOIN base.files f ON l.file = f.file LEFT JOIN base.files t ON l.to_node = t.node;
CREATE VIEW tasks AS
    SELECT f.path, t.line, t."text", t.status, t.due, t.scheduled, t.starts, t.done, t.cancelled, t.created, t.due_at,
           t.priority, t.tags, t.project, t.recurrence, t.section, t.source, t.symbol, t.task_id, t.raw, f.id
    FROM base.tasks t JOIN base.files f ON t.file = f.file;
CREATE VIEW contacts AS
    SELECT f.path, c.line, c.name, c.given, c.family, c.nicknames, c.emails[1] AS email, c.phones[1] AS phone,
           c.emails, c.phones, c.addresses, c.organisation, c.title, c.birthday, c.birth_month, c.birth_day,
           c.categories, c.note, c.urls, c.uid, c.properties::JSON AS properties, f.id
    FROM base.contacts c JOIN base.files f ON c.file = f.file;
CREATE VIEW events AS
    SELECT f.path, e.line, e.summary, e.description, e.location, e.starts, e.ends, e.all_day, e.zone, e.recurrence,
           e.status, e.organizer, e.attendees, e.categories, e.url, e.uid, e.properties::JSON AS properties, f.id
    FROM base.events e JOIN base.files f ON e.file = f.file;
CREATE VIEW tags AS
    SELECT unnest(f.tags) AS tag, f.path, f.id FROM base.files f WHERE len(f.tags) > 0;
CREATE VIEW history AS
    SELECT coalesce(f.path, h.path) AS path, h.version, h.recorded, h.modified, h.action, d.name AS device, h.program,
           h.size, h.delta, h.file IS NULL AS removed, h.kept, h.id
    FROM base.history h LEFT JOIN base.files f ON h.file = f.file LEFT JOIN base.devices d ON h.device = d.device
    WHERE h.file IS NULL OR f.path IS NOT NULL;
CREATE VIEW devices AS
    SELECT name, is_this, state, device_id FROM base.devices WHERE state IS NOT NULL;
CREATE VIEW blobs AS SELECT * FROM base.blobs;
CREATE VIEW problems AS
    SELECT f.path, p.line, p.reason, f.id FROM base.problems p JOIN base.files f ON p.file = f.file;
CREATE VIEW about AS SELECT * FROM base.about;
