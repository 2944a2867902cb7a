-- upsert --
-- A worker that was loaded; limits that people set stay.
INSERT INTO worker (name, executor, idempotent, max_running, queue, description, created_at, updated_at)
    VALUES (:name, :executor, :idempotent, NULL, NULL, :description, :now, :now)
    ON CONFLICT (name) DO UPDATE SET executor = excluded.executor, idempotent = excluded.idempotent,
        description = excluded.description, updated_at = excluded.updated_at
RETURNING id, name, executor, idempotent, enabled, disabled_reason, max_running, queue, description, version;

-- all --
-- Every worker that ever left a row.
SELECT id, name, executor, idempotent, enabled, disabled_reason, max_running, queue, description, version
  FROM worker ORDER BY name;

-- one --
-- A worker as it is inside the transaction that changes it.
SELECT id, name, executor, idempotent, enabled, disabled_reason, max_running, queue, description, version
  FROM worker WHERE id = :id;

-- change --
-- Live limits and the switch.
UPDATE worker SET enabled = :enabled, disabled_reason = :disabled_reason, max_running = :max_running,
                  queue = :queue, updated_at = :now, version = version + 1
 WHERE id = :id RETURNING version;
