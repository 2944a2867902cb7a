-- insert_line --
-- Lines come in batches; the fence was checked by who hands them over.
INSERT OR IGNORE INTO log (execution_id, seq, at, level, stream, text) VALUES (?, ?, ?, ?, ?, ?);

-- drop_middle --
-- A bounded log keeps head and tail; what lies between goes as the tail grows.
DELETE FROM log WHERE execution_id = ? AND seq >= ? AND seq < ?;

-- after --
-- Lines from a place on.
SELECT seq, at, level, stream, text FROM log
 WHERE execution_id = :execution_id AND seq > :after ORDER BY seq LIMIT :limit;

-- tail --
-- The last lines, newest first.
SELECT seq, at, level, stream, text FROM log
 WHERE execution_id = :execution_id ORDER BY seq DESC LIMIT :limit;
