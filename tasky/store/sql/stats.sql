-- add --
-- Written in the transaction that ends an execution, so pruning never changes a figure.
INSERT INTO stat (span, at, worker_id, kind, bucket, n, total, least, most) VALUES (60, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (span, at, worker_id, kind, bucket) DO UPDATE SET
        n = n + excluded.n, total = total + excluded.total,
        least = min(least, excluded.least), most = max(most, excluded.most);

-- add_error --
-- How often which error came, and when last.
INSERT INTO stat_error (span, at, worker_id, fingerprint, type, message, n, last_at, task_id)
    VALUES (60, ?, ?, ?, ?, ?, 1, ?, ?)
    ON CONFLICT (span, at, worker_id, fingerprint) DO UPDATE SET
        n = n + 1, last_at = excluded.last_at, message = excluded.message, task_id = excluded.task_id;

-- by_worker --
-- Sums of a window by worker. Slices of all lengths are disjoint in time.
SELECT worker.name, stat.kind, stat.bucket, sum(n), sum(total), min(least), max(most)
  FROM stat JOIN worker ON worker.id = stat.worker_id
 WHERE stat.span IN (60, 3600, 86400) AND stat.at >= :since AND stat.at < :until
   AND (:worker IS NULL OR worker.name = :worker)
 GROUP BY 1, 2, 3;

-- series --
-- Sums of a window by slices of `step` seconds.
SELECT stat.at / :step * :step, stat.kind, stat.bucket, sum(n), sum(total), min(least), max(most)
  FROM stat JOIN worker ON worker.id = stat.worker_id
 WHERE stat.span IN (60, 3600, 86400) AND stat.at >= :since AND stat.at < :until
   AND (:worker IS NULL OR worker.name = :worker)
 GROUP BY 1, 2, 3;

-- errors --
-- The most frequent errors of a window.
SELECT type, message, sum(n), max(last_at)
  FROM stat_error JOIN worker ON worker.id = stat_error.worker_id
 WHERE stat_error.span IN (60, 3600, 86400) AND stat_error.at >= :since AND stat_error.at < :until
   AND (:worker IS NULL OR worker.name = :worker)
 GROUP BY stat_error.fingerprint ORDER BY 3 DESC, 4 DESC LIMIT :limit;

-- last_error --
-- The newest error of a worker.
SELECT type, message FROM stat_error JOIN worker ON worker.id = stat_error.worker_id
 WHERE worker.name = :worker ORDER BY stat_error.last_at DESC LIMIT 1;

-- fold --
-- Add fine slices up to coarse ones; the fine ones go in the same transaction. A coarse one may be there
-- already: a clock that was set back brings minutes of an hour that was folded before.
INSERT INTO stat (span, at, worker_id, kind, bucket, n, total, least, most)
    SELECT :to, at / :to * :to, worker_id, kind, bucket, sum(n), sum(total), min(least), max(most)
      FROM stat WHERE span = :from AND at < :before GROUP BY at / :to, worker_id, kind, bucket
    ON CONFLICT (span, at, worker_id, kind, bucket) DO UPDATE SET
        n = n + excluded.n, total = total + excluded.total,
        least = min(least, excluded.least), most = max(most, excluded.most);

-- drop_fine --
-- Second half of folding.
DELETE FROM stat WHERE span = :from AND at < :before;

-- fold_errors --
-- The same for errors.
INSERT INTO stat_error (span, at, worker_id, fingerprint, type, message, n, last_at, task_id)
    SELECT :to, at / :to * :to, worker_id, fingerprint, type, message, sum(n), max(last_at), task_id
      FROM stat_error WHERE span = :from AND at < :before GROUP BY at / :to, worker_id, fingerprint
    ON CONFLICT (span, at, worker_id, fingerprint) DO UPDATE SET
        n = n + excluded.n, last_at = max(last_at, excluded.last_at);

-- drop_fine_errors --
-- Second half of folding.
DELETE FROM stat_error WHERE span = :from AND at < :before;
