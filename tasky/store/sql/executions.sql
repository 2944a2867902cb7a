-- insert_execution --
-- One attempt, queued or held. Queued rows are the queue.
INSERT INTO execution (id, task_id, result_id, worker_id, state, priority, idx, attempt, crashes, not_before,
                       queued_at, since)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- workers_with_ready --
-- Which workers have something to claim; asked once at start.
SELECT DISTINCT worker_id FROM execution WHERE state = 'queued' AND not_before IS NULL;

-- heads --
-- The next executions of one worker in the order of the claim, with all their start needs. An engine that
-- runs only what it was asked for itself leaves older tasks to others (:floor).
SELECT execution.id, execution.priority, execution.task_id, execution.result_id, execution.idx, execution.attempt,
       execution.crashes, task.uid, task.config, task.labels, task.timeout_us, task.max_attempts, result.times,
       execution.queued_at, execution.worker_id, task.pause_requested_at
  FROM execution
  JOIN task ON task.id = execution.task_id
  JOIN result ON result.id = execution.result_id
 WHERE execution.worker_id = :worker_id AND execution.state = 'queued' AND execution.not_before IS NULL
   AND execution.task_id > :floor
 ORDER BY execution.priority DESC, execution.id LIMIT :limit;

-- start_execution --
-- Edge start. Durable before the code begins, so that nothing starts twice.
UPDATE execution SET state = 'running', started_at = ?, since = ?, fence = ? WHERE id = ? AND state = 'queued';

-- end_execution --
-- Every end of running code. No row: somebody ended it first, or its fence is older than ours; both mean
-- "drop this report". Code that stands still at a checkpoint can be stopped, but it cannot return.
UPDATE execution
   SET state = ?1, ended_at = ?2, since = ?2,
       paused_us = paused_us + (state = 'paused') * max(0, ?2 - since),
       waiting_us = waiting_us + (state = 'waiting') * max(0, ?2 - since),
       output = ?3, output_kind = ?4, output_size = ?5, error = ?6, exit_code = ?7,
       progress = coalesce(?8, progress)
 WHERE id = ?9 AND fence = ?10 AND started_at IS NOT NULL
   AND (state = 'running' OR state = 'waiting'
        OR (state = 'paused' AND ?1 <> 'succeeded' AND ?1 <> 'failed'));

-- ended_just_now --
-- Which of several reports counted, when not all did.
SELECT 1 FROM execution WHERE id = :id AND fence = :fence AND state = :state AND ended_at = :now;

-- move_execution --
-- Edges pause, resume, wait and go on of running code; the time in the left state is added up.
UPDATE execution
   SET state = :to, since = :now,
       paused_us = paused_us + CASE WHEN state = 'paused' THEN max(0, :now - since) ELSE 0 END,
       waiting_us = waiting_us + CASE WHEN state = 'waiting' THEN max(0, :now - since) ELSE 0 END
 WHERE id = :id AND state = :leaves AND fence = :fence AND started_at IS NOT NULL
RETURNING task_id, result_id;

-- move_unstarted --
-- Edges release, pause, resume of what has not started.
UPDATE execution
   SET state = :to, since = :now, queued_at = CASE WHEN :to = 'queued' THEN coalesce(queued_at, :now) ELSE queued_at END
 WHERE task_id = :task_id AND result_id = :result_id AND state = :leaves AND started_at IS NULL
RETURNING not_before;

-- cancel_unstarted --
-- Edge cancel of what has not started: at once, there is no code to ask.
UPDATE execution SET state = 'cancelled', ended_at = :now, since = :now, error = :error
 WHERE task_id = :task_id AND result_id = :result_id AND ended_at IS NULL AND started_at IS NULL
RETURNING id, worker_id, queued_at;

-- retire --
-- An attempt that is followed by another one does not count for its result any more.
UPDATE execution SET is_last = 0 WHERE id = :id;

-- promote_due --
-- Its time has come: from here on it is an ordinary queued one.
UPDATE execution SET not_before = NULL
 WHERE state = 'queued' AND not_before IS NOT NULL AND not_before <= :now RETURNING worker_id;

-- next_due --
-- When the dispatcher must look again.
SELECT min(not_before) FROM execution WHERE state = 'queued' AND not_before IS NOT NULL;

-- left_by_crash --
-- What the last owner left: its code is gone with it. Active code is found through the open tasks.
SELECT execution.id, execution.task_id, execution.result_id, execution.worker_id, execution.state, execution.idx,
       execution.attempt, execution.crashes, execution.priority, execution.queued_at, execution.started_at,
       worker.idempotent, worker.name, task.uid, result.times, task.cancel_requested_at
  FROM task
  JOIN execution ON execution.task_id = task.id
  JOIN worker ON worker.id = execution.worker_id
  JOIN result ON result.id = execution.result_id
 WHERE task.ended_at IS NULL AND task.state IN ('running', 'paused', 'waiting')
   AND execution.ended_at IS NULL AND execution.started_at IS NOT NULL
 LIMIT :limit;

-- lose --
-- Edge lose, at start-up after a crash.
UPDATE execution SET state = 'lost', ended_at = :now, since = :now, error = :error
 WHERE id = :id AND ended_at IS NULL AND started_at IS NOT NULL RETURNING id;

-- is_known --
-- Log lines have no fence of their own; this keeps them from rows that are gone.
SELECT 1 FROM execution WHERE id = :id AND fence = :fence;

-- set_progress --
-- A coalesced report. The fence keeps out code that was cut off.
UPDATE execution SET progress = :progress WHERE id = :id AND fence = :fence AND ended_at IS NULL RETURNING task_id;

-- of_task --
-- The executions of a task, oldest first.
SELECT execution.id, execution.result_id, task.uid, execution.idx, execution.attempt, execution.state,
       execution.fence, execution.queued_at, execution.started_at, execution.ended_at, execution.error,
       execution.exit_code, execution.place, execution.paused_us, execution.waiting_us, execution.since
  FROM execution JOIN task ON task.id = execution.task_id
 WHERE execution.task_id = :task_id ORDER BY execution.id LIMIT :limit;

-- insert_chunk --
-- A piece of a large output.
INSERT INTO output_chunk (execution_id, seq, data) VALUES (?, ?, ?);

-- chunk --
-- One piece at a time, so that streaming needs the memory of one.
SELECT data FROM output_chunk WHERE execution_id = :id AND seq = :seq;

-- output_of --
-- What an execution gave: inline text, kind and size.
SELECT output, output_kind, output_size FROM execution WHERE id = :id;

-- slowest --
-- The longest runs among the newest executions of a window.
SELECT task.uid, worker.name, execution.ended_at - execution.started_at
  FROM execution JOIN task ON task.id = execution.task_id JOIN worker ON worker.id = execution.worker_id
 WHERE execution.id > (SELECT max(id) FROM execution) - :newest AND execution.ended_at >= :since
   AND execution.started_at IS NOT NULL AND (:worker_id IS NULL OR execution.worker_id = :worker_id)
 ORDER BY 3 DESC LIMIT :limit;
