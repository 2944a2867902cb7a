-- insert_result --
-- A RUN request.
INSERT INTO result (id, task_id, times, state, submitted_at) VALUES (?, ?, ?, ?, ?);

-- start_results --
-- Something of the result runs, so it does.
UPDATE result SET state = 'running', started_at = coalesce(result.started_at, :now)
 WHERE id IN (SELECT value ->> 3 FROM json_each(:rows));

-- end_results --
-- Ends of results with one execution.
UPDATE result SET state = v.state, ended_at = :now
  FROM (SELECT value ->> 2 AS result, value ->> 3 AS state FROM json_each(:rows)) AS v
 WHERE result.id = v.result AND result.ended_at IS NULL;

-- census --
-- The last attempt of each index, counted: all that a derived state needs.
SELECT state, started_at IS NOT NULL, count(*), min(started_at), max(ended_at)
  FROM execution WHERE task_id = :task_id AND result_id = :result_id AND is_last = 1 GROUP BY 1, 2;

-- first_start --
-- A retry has a start of its own; the result's start is the first of all.
SELECT min(started_at) FROM execution WHERE task_id = :task_id AND result_id = :result_id;

-- set_result --
-- Write the derived state.
UPDATE result SET state = :state, started_at = :started_at, ended_at = :ended_at WHERE id = :id;

-- of_task --
-- The results of a task, newest first.
SELECT DISTINCT result.id, task.uid, result.times, result.state, result.submitted_at, result.started_at,
       result.ended_at
  FROM execution JOIN result ON result.id = execution.result_id JOIN task ON task.id = execution.task_id
 WHERE execution.task_id = :task_id ORDER BY result.id DESC LIMIT :limit;
