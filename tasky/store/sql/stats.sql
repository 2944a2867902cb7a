-- add_stat --
-- Written in the transaction that ends an execution, so pruning never changes a figure.
INSERT INTO stat (span, at, worker_id, state, n, run_n, run_us, run_min, run_max, wait_n, wait_us, wait_min, wait_max)
    VALUES (60, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (span, at, worker_id, state) DO UPDATE SET
        n = n + excluded.n, run_n = run_n + excluded.run_n, run_us = run_us + excluded.run_us,
        run_min = coalesce(min(run_min, excluded.run_min), run_min, excluded.run_min),
        run_max = coalesce(max(run_max, excluded.run_max), run_max, excluded.run_max),
        wait_n = wait_n + excluded.wait_n, wait_us = wait_us + excluded.wait_us,
        wait_min = coalesce(min(wait_min, excluded.wait_min), wait_min, excluded.wait_min),
        wait_max = coalesce(max(wait_max, excluded.wait_max), wait_max, excluded.wait_max);

-- add_sketch --
-- The same for the latency sketch.
INSERT INTO sketch (span, at, worker_id, kind, bucket, n) VALUES (60, ?, ?, ?, ?, ?)
    ON CONFLICT (span, at, worker_id, kind, bucket) DO UPDATE SET n = n + excluded.n;

-- add_error --
-- How often which error came, and when last.
INSERT INTO stat_error (span, at, worker_id, fingerprint, type, message, n, last_at, task_id)
    VALUES (60, ?, ?, ?, ?, ?, 1, ?, ?)
    ON CONFLICT (span, at, worker_id, fingerprint) DO UPDATE SET
        n = n + 1, last_at = excluded.last_at, message = excluded.message, task_id = excluded.task_id;

-- totals --
-- Sums of a window by worker and end state. Slices of all lengths are disjoint in time.
SELECT worker.name, stat.state, sum(n), sum(run_n), sum(run_us), min(run_min), max(run_max), sum(wait_n),
       sum(wait_us), min(wait_min), max(wait_max)
  FROM stat JOIN worker ON worker.id = stat.worker_id
 WHERE stat.span IN (60, 3600, 86400) AND stat.at >= :since AND stat.at < :until AND (:worker IS NULL OR worker.name = :worker)
 GROUP BY worker.name, stat.state;

-- buckets --
-- The sketch of a window by worker.
SELECT worker.name, sketch.kind, sketch.bucket, sum(n)
  FROM sketch JOIN worker ON worker.id = sketch.worker_id
 WHERE sketch.span IN (60, 3600, 86400) AND sketch.at >= :since AND sketch.at < :until AND (:worker IS NULL OR worker.name = :worker)
 GROUP BY worker.name, sketch.kind, sketch.bucket;

-- series --
-- Sums of a window by slices of `step` seconds and end state.
SELECT stat.at / :step * :step, stat.state, sum(n), sum(run_n), sum(run_us), min(run_min), max(run_max),
       sum(wait_n), sum(wait_us), min(wait_min), max(wait_max)
  FROM stat JOIN worker ON worker.id = stat.worker_id
 WHERE stat.span IN (60, 3600, 86400) AND stat.at >= :since AND stat.at < :until AND (:worker IS NULL OR worker.name = :worker)
 GROUP BY 1, 2 ORDER BY 1;

-- series_buckets --
-- The sketch by slices.
SELECT sketch.at / :step * :step, sketch.kind, sketch.bucket, sum(n)
  FROM sketch JOIN worker ON worker.id = sketch.worker_id
 WHERE sketch.span IN (60, 3600, 86400) AND sketch.at >= :since AND sketch.at < :until AND (:worker IS NULL OR worker.name = :worker)
 GROUP BY 1, 2, 3;

-- errors --
-- The most frequent errors of a window.
SELECT type, message, sum(n), max(last_at)
  FROM stat_error JOIN worker ON worker.id = stat_error.worker_id
 WHERE stat_error.span IN (60, 3600, 86400) AND stat_error.at >= :since AND stat_error.at < :until AND (:worker IS NULL OR worker.name = :worker)
 GROUP BY stat_error.fingerprint ORDER BY 3 DESC, 4 DESC LIMIT :limit;

-- last_error --
-- The newest error of a worker.
SELECT type, message FROM stat_error JOIN worker ON worker.id = stat_error.worker_id
 WHERE worker.name = :worker ORDER BY stat_error.last_at DESC LIMIT 1;

-- fold_stat --
-- Add fine slices up to coarse ones; the fine ones go in the same transaction.
INSERT INTO stat (span, at, worker_id, state, n, run_n, run_us, run_min, run_max, wait_n, wait_us, wait_min, wait_max)
    SELECT :to, at / :to * :to, worker_id, state, sum(n), sum(run_n), sum(run_us), min(run_min), max(run_max),
           sum(wait_n), sum(wait_us), min(wait_min), max(wait_max)
      FROM stat WHERE span = :from AND at < :before GROUP BY at / :to, worker_id, state;

-- drop_stat --
DELETE FROM stat WHERE span = :from AND at < :before;

-- fold_sketch --
INSERT INTO sketch (span, at, worker_id, kind, bucket, n)
    SELECT :to, at / :to * :to, worker_id, kind, bucket, sum(n)
      FROM sketch WHERE span = :from AND at < :before GROUP BY at / :to, worker_id, kind, bucket;

-- drop_sketch --
DELETE FROM sketch WHERE span = :from AND at < :before;
