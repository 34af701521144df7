-- The clock, local and standing still during a query: $now is set for each (DuckDB's own are UTC, and need ICU for more).
CREATE MACRO now() AS getvariable('coffer_now')::TIMESTAMP;
CREATE MACRO get_current_timestamp() AS getvariable('coffer_now')::TIMESTAMP;
CREATE MACRO transaction_timestamp() AS getvariable('coffer_now')::TIMESTAMP;
CREATE MACRO current_localtimestamp() AS getvariable('coffer_now')::TIMESTAMP;
CREATE MACRO current_localtime() AS getvariable('coffer_now')::TIME;
CREATE MACRO get_current_time() AS getvariable('coffer_now')::TIME;
CREATE MACRO current_date() AS getvariable('coffer_now')::DATE;
CREATE MACRO today() AS getvariable('coffer_now')::DATE;

-- A note that says no title has its name, without the ending.
CREATE MACRO coffer_title(title, name, extension) AS
    coalesce(title, CASE WHEN extension IS NULL THEN name ELSE left(name, length(name) - length(extension) - 1) END);
