-- insert_result --
-- A RUN request.
INSERT INTO result (id, task_id, times, submitted_at) VALUES (?, ?, ?, ?);

-- census --
-- The last attempt of each index, counted: all that a derived state needs.
SELECT state, started_at IS NOT NULL, count(*), max(ended_at)
  FROM execution WHERE task_id = :task_id AND result_id = :result_id AND is_last = 1 GROUP BY 1, 2;

-- first_start --
-- A retry has a start of its own; the result's start is the first of all.
SELECT min(started_at) FROM execution WHERE task_id = :task_id AND result_id = :result_id;

-- of_task --
-- The results of a task, newest first.
SELECT DISTINCT result.id, task.uid, result.times, result.submitted_at
  FROM execution JOIN result ON result.id = execution.result_id JOIN task ON task.id = execution.task_id
 WHERE execution.task_id = :task_id ORDER BY result.id DESC LIMIT :limit;
