-- select_task --
-- A whole task: its row, its worker's name, and what its latest execution shows. Lists add a WHERE.
SELECT task.id, task.uid, worker.name, task.state, task.config,
       execution.output, execution.output_kind, execution.output_size, execution.error, execution.exit_code,
       execution.progress, task.cancel_requested_at, task.pause_requested_at, task.attempt, task.max_attempts,
       task.priority, task.queue, task.labels, task.key, task.timeout_us, task.not_before, task.created_at,
       task.queued_at, task.started_at, task.ended_at, task.result_id, task.execution_id, task.origin,
       task.version
  FROM task
  JOIN worker ON worker.id = task.worker_id
  LEFT JOIN execution ON execution.id = task.execution_id;

-- by_uid_prefix --
-- An id may be shortened; a range over the unique index finds what begins with it.
SELECT id, uid FROM task WHERE uid >= :prefix AND uid < :end ORDER BY uid LIMIT :limit;

-- insert_task --
-- A new task. Its result and its first execution are written with it, so their ids are known.
INSERT INTO task (id, uid, worker_id, state, config, priority, queue, labels, key, origin, actor, timeout_us,
                  max_attempts, not_before, created_at, queued_at, result_id, execution_id)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- open_with_key --
-- Who holds a key that must be unique among open tasks.
SELECT uid FROM task WHERE key = :key AND ended_at IS NULL;

-- key_of --
-- The key of a task that is to open again, and who holds it now.
SELECT mine.key, other.uid FROM task AS mine JOIN task AS other ON other.key = mine.key
 WHERE mine.id = :id AND other.ended_at IS NULL AND other.id <> mine.id;

-- facts --
-- What a control verb must know before it moves anything.
SELECT task.id, task.uid, task.state, task.worker_id, worker.name, task.result_id, task.config, task.max_attempts,
       task.priority, task.version, task.queued_at, task.started_at, task.ended_at, task.created_at,
       task.pause_requested_at
  FROM task JOIN worker ON worker.id = task.worker_id WHERE task.id = :id;

-- start_task --
-- Edge start.
UPDATE task SET state = 'running', started_at = coalesce(started_at, ?), execution_id = ?, attempt = ?,
                version = version + 1
 WHERE id = ? AND ended_at IS NULL;

-- end_task --
-- A task with one execution ends as it does. A pause nobody needs any more is forgotten.
UPDATE task SET state = ?, ended_at = ?, pause_requested_at = NULL, version = version + 1
 WHERE id = ? AND ended_at IS NULL;

-- follow_result --
-- Let a task show what its result came to; ended or open again in one statement.
UPDATE task SET state = :state, queued_at = coalesce(:queued_at, queued_at), started_at = :started_at,
                ended_at = :ended_at, version = version + 1,
                pause_requested_at = CASE WHEN :ended_at IS NULL THEN pause_requested_at END
 WHERE id = :id;

-- rerun --
-- Edge rerun: a new result begins, history stays with the old one.
UPDATE task SET state = 'queued', config = :config, result_id = :result_id, execution_id = :execution_id,
                queued_at = :now, started_at = NULL, ended_at = NULL, cancel_requested_at = NULL,
                pause_requested_at = NULL, not_before = NULL, version = version + 1
 WHERE id = :id AND ended_at IS NOT NULL RETURNING id;

-- wish_cancel --
-- A wish is a column with a time; asking twice keeps the first time.
UPDATE task SET cancel_requested_at = coalesce(cancel_requested_at, :now), version = version + 1
 WHERE id = :id AND ended_at IS NULL RETURNING state;

-- wish_pause --
-- As cancel: the code has not reached it yet.
UPDATE task SET pause_requested_at = :now, version = version + 1
 WHERE id = :id AND ended_at IS NULL RETURNING state;

-- forget_pause --
-- Resume takes the wish back.
UPDATE task SET pause_requested_at = NULL, version = version + 1
 WHERE id = :id AND ended_at IS NULL RETURNING state;

-- cancel_asked --
-- Whether somebody wants this to stop: then nothing of it is tried again.
SELECT 1 FROM task WHERE id = :id AND cancel_requested_at IS NOT NULL;

-- touch --
-- Something people see changed (progress), so who waits for a version goes on.
UPDATE task SET version = version + 1 WHERE id = :id;

-- set_config --
-- A config may change until the code reads it.
UPDATE task SET config = :config, version = version + 1
 WHERE id = :id AND ended_at IS NULL AND started_at IS NULL RETURNING id;

-- delete_results --
-- Before the task: its results are found through the executions that go with it.
DELETE FROM result WHERE id IN (SELECT result_id FROM execution WHERE task_id = :id);

-- delete_task --
-- Executions, logs and outputs go with it; statistics and events stay.
DELETE FROM task WHERE id = :id AND ended_at IS NOT NULL RETURNING id;

-- state_of --
-- The cheap question of everybody who waits.
SELECT state, version FROM task WHERE id = :id;

-- count_open --
-- How many tasks stand in each open state; capped, so that a flood costs no more.
SELECT 'new', count(*) FROM (SELECT 1 FROM task WHERE ended_at IS NULL AND state = 'new' LIMIT :cap)
UNION ALL SELECT 'queued', count(*) FROM (SELECT 1 FROM task WHERE ended_at IS NULL AND state = 'queued' LIMIT :cap)
UNION ALL SELECT 'running', count(*) FROM (SELECT 1 FROM task WHERE ended_at IS NULL AND state = 'running' LIMIT :cap)
UNION ALL SELECT 'paused', count(*) FROM (SELECT 1 FROM task WHERE ended_at IS NULL AND state = 'paused' LIMIT :cap)
UNION ALL SELECT 'waiting', count(*) FROM (SELECT 1 FROM task WHERE ended_at IS NULL AND state = 'waiting' LIMIT :cap);

-- oldest_queued --
-- How long the oldest queued task waits; ids rise with time, so the first is it.
SELECT queued_at FROM task WHERE ended_at IS NULL AND state = 'queued' ORDER BY id LIMIT 1;

-- replayed --
-- What an idempotency key was used for.
SELECT request, task_uids FROM idempotency WHERE credential = :credential AND key = :key AND at > :oldest;

-- remember_key --
-- The key of a request and the tasks it made, written with them.
INSERT INTO idempotency (credential, key, request, task_uids, at) VALUES (:credential, :key, :request, :uids, :now)
    ON CONFLICT (credential, key) DO UPDATE SET request = excluded.request, task_uids = excluded.task_uids,
    at = excluded.at;

-- forget_keys --
-- Keys are good for a day.
DELETE FROM idempotency WHERE at <= :oldest;
