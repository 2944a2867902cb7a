-- id_marks --
-- Highest ids that were ever given out and then deleted; without them a new row could take an old id.
SELECT name, value FROM meta WHERE name LIKE 'id.%';

-- newest_ids --
-- The newest id of each table whose ids Tasky gives out itself; max() on a rowid is one seek.
SELECT 'task', coalesce((SELECT max(id) FROM task), 0)
UNION ALL SELECT 'result', coalesce((SELECT max(id) FROM result), 0)
UNION ALL SELECT 'execution', coalesce((SELECT max(id) FROM execution), 0)
UNION ALL SELECT 'event', coalesce((SELECT max(id) FROM event), 0);

-- keep_mark --
-- Remember the newest id of a table before its row goes.
INSERT INTO meta (name, value) VALUES ('id.' || :table, :id)
    ON CONFLICT (name) DO UPDATE SET value = max(CAST(value AS INTEGER), :id);

-- get --
-- One fact about the file.
SELECT value FROM meta WHERE name = :name;

-- put --
-- Set one fact about the file.
INSERT INTO meta (name, value) VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = :value;

-- next_boot --
-- Count a start; fences grow from it, so no hand-out of an earlier start is ever taken for a newer one.
INSERT INTO meta (name, value) VALUES ('boot', '1')
    ON CONFLICT (name) DO UPDATE SET value = CAST(value AS INTEGER) + 1 RETURNING CAST(value AS INTEGER);

-- sizes --
-- Rows and pages for `tasky db info`.
SELECT
    (SELECT page_count FROM pragma_page_count) * (SELECT page_size FROM pragma_page_size) AS bytes,
    (SELECT freelist_count FROM pragma_freelist_count) * (SELECT page_size FROM pragma_page_size) AS free_bytes,
    (SELECT count(*) FROM task) AS tasks,
    (SELECT count(*) FROM execution) AS executions,
    (SELECT count(*) FROM event) AS events,
    (SELECT count(*) FROM log) AS log_lines;
