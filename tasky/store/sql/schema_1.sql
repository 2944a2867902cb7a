-- table_meta --
-- One row per fact about the file itself: epoch (new after a restore), boot (starts so far), id marks.
CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- table_worker --
-- A kind of work. Function workers leave a row too, so that tasks, limits and statistics outlive the code.
CREATE TABLE worker (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    executor TEXT NOT NULL DEFAULT 'thread',
    idempotent INTEGER NOT NULL DEFAULT 0 CHECK (idempotent BETWEEN 0 AND 1),
    enabled INTEGER NOT NULL DEFAULT 1 CHECK (enabled BETWEEN 0 AND 1),
    disabled_reason TEXT,
    max_running INTEGER CHECK (max_running >= 1),
    queue TEXT,
    description TEXT NOT NULL DEFAULT '',
    declaration TEXT CHECK (declaration IS NULL OR json_valid(declaration)),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL DEFAULT 1
) STRICT;

-- table_task --
-- One configured unit of work. `state` repeats its current result's state, so that lists need one table.
-- The CHECKs are chains of OR: an IN list would build a temporary index for every row written.
CREATE TABLE task (
    id INTEGER PRIMARY KEY,
    uid TEXT NOT NULL UNIQUE,
    worker_id INTEGER NOT NULL REFERENCES worker (id),
    state TEXT NOT NULL CHECK (
        state = 'new' OR state = 'queued' OR state = 'running' OR state = 'paused' OR state = 'waiting'
        OR state = 'succeeded' OR state = 'failed' OR state = 'cancelled' OR state = 'timed_out'
        OR state = 'killed' OR state = 'lost'
    ),
    config TEXT NOT NULL CHECK (json_valid(config)),
    priority INTEGER NOT NULL DEFAULT 0 CHECK (priority BETWEEN -100 AND 100),
    queue TEXT NOT NULL DEFAULT 'default',
    labels TEXT CHECK (labels IS NULL OR json_valid(labels)),
    key TEXT,
    origin TEXT NOT NULL DEFAULT 'native',
    actor TEXT NOT NULL DEFAULT '',
    timeout_us INTEGER CHECK (timeout_us > 0),
    max_attempts INTEGER NOT NULL DEFAULT 1 CHECK (max_attempts >= 1),
    attempt INTEGER NOT NULL DEFAULT 0,
    not_before INTEGER,
    created_at INTEGER NOT NULL,
    queued_at INTEGER,
    started_at INTEGER,
    ended_at INTEGER,
    cancel_requested_at INTEGER,
    pause_requested_at INTEGER,
    result_id INTEGER,
    execution_id INTEGER,
    job_id INTEGER,
    chain_id INTEGER,
    parent_id INTEGER,
    version INTEGER NOT NULL DEFAULT 1,
    CHECK ((ended_at IS NULL) = (
        state = 'new' OR state = 'queued' OR state = 'running' OR state = 'paused' OR state = 'waiting'
    ))
) STRICT;

-- index_task_open --
-- Lists of open tasks by state, newest first; stays small however long the history is.
CREATE INDEX task_open ON task (state, id) WHERE ended_at IS NULL;

-- index_task_trouble --
-- Lists of bad ends by state; a success pays nothing for it.
CREATE INDEX task_trouble ON task (state, id) WHERE ended_at IS NOT NULL AND state <> 'succeeded';

-- index_task_worker --
-- The latest tasks of a worker.
CREATE INDEX task_worker ON task (worker_id, id);

-- index_task_key --
-- A key is unique among open tasks.
CREATE UNIQUE INDEX task_key ON task (key) WHERE key IS NOT NULL AND ended_at IS NULL;

-- table_result --
-- One RUN request. Its state is not stored: it is what its executions say, asked when somebody looks. Its
-- task is found through them too, so it needs neither an index nor a foreign key that would want one.
CREATE TABLE result (
    id INTEGER PRIMARY KEY,
    task_id INTEGER NOT NULL,
    times INTEGER NOT NULL CHECK (times BETWEEN 1 AND 10000),
    submitted_at INTEGER NOT NULL
) STRICT;

-- table_execution --
-- One attempt of one index of a result. Queued rows ARE the queue; `fence` is new at each hand-out.
-- `output` holds a small JSON or text output; larger ones and bytes lie in output_chunk.
CREATE TABLE execution (
    id INTEGER PRIMARY KEY,
    task_id INTEGER NOT NULL REFERENCES task (id) ON DELETE CASCADE,
    result_id INTEGER NOT NULL,
    worker_id INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (
        state = 'new' OR state = 'queued' OR state = 'running' OR state = 'paused' OR state = 'waiting'
        OR state = 'succeeded' OR state = 'failed' OR state = 'cancelled' OR state = 'timed_out'
        OR state = 'killed' OR state = 'lost'
    ),
    priority INTEGER NOT NULL DEFAULT 0,
    idx INTEGER NOT NULL DEFAULT 1,
    attempt INTEGER NOT NULL DEFAULT 1,
    is_last INTEGER NOT NULL DEFAULT 1,
    crashes INTEGER NOT NULL DEFAULT 0,
    not_before INTEGER,
    fence INTEGER NOT NULL DEFAULT 0,
    queued_at INTEGER,
    started_at INTEGER,
    ended_at INTEGER,
    since INTEGER NOT NULL,
    paused_us INTEGER NOT NULL DEFAULT 0,
    waiting_us INTEGER NOT NULL DEFAULT 0,
    output TEXT,
    output_kind TEXT,
    output_size INTEGER,
    error TEXT CHECK (error IS NULL OR json_valid(error)),
    exit_code INTEGER,
    progress TEXT CHECK (progress IS NULL OR json_valid(progress)),
    place TEXT,
    CHECK ((ended_at IS NULL) = (
        state = 'new' OR state = 'queued' OR state = 'running' OR state = 'paused' OR state = 'waiting'
    ))
) STRICT;

-- index_execution_task --
-- The executions of a task, and through them those of a result.
CREATE INDEX execution_task ON execution (task_id, id);

-- index_execution_ready --
-- The queue of each worker in the order of its claims.
CREATE INDEX execution_ready ON execution (worker_id, priority DESC, id)
    WHERE state = 'queued' AND not_before IS NULL;

-- index_execution_due --
-- What waits for its time; the dispatcher sleeps until the first.
CREATE INDEX execution_due ON execution (not_before) WHERE state = 'queued' AND not_before IS NOT NULL;

-- table_output_chunk --
-- Bytes and large outputs in pieces, so that they are streamed and never copied with a row.
CREATE TABLE output_chunk (
    execution_id INTEGER NOT NULL REFERENCES execution (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (execution_id, seq)
) STRICT, WITHOUT ROWID;

-- table_log --
-- The log of an execution; a gap in seq is a cut between head and tail.
CREATE TABLE log (
    execution_id INTEGER NOT NULL REFERENCES execution (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    at INTEGER NOT NULL,
    level TEXT NOT NULL,
    stream TEXT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (execution_id, seq)
) STRICT, WITHOUT ROWID;

-- table_event --
-- History and change feed in one: written with the change, ids only rise.
CREATE TABLE event (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    name TEXT NOT NULL,
    actor TEXT NOT NULL DEFAULT '',
    task_id INTEGER,
    execution_id INTEGER,
    object TEXT,
    state TEXT,
    payload TEXT CHECK (payload IS NULL OR json_valid(payload))
) STRICT;

-- index_event_task --
-- The history of one task.
CREATE INDEX event_task ON event (task_id, id) WHERE task_id IS NOT NULL;

-- table_stat --
-- What ended, per slice of `span` seconds and worker. Rows of an end state count ends (bucket 0); rows of
-- `run` and `wait` are a latency sketch: durations in µs that fell into each bucket (DDSketch). All of a
-- worker's minute lie together, so an end writes one page.
CREATE TABLE stat (
    span INTEGER NOT NULL,
    at INTEGER NOT NULL,
    worker_id INTEGER NOT NULL,
    kind TEXT NOT NULL,
    bucket INTEGER NOT NULL,
    n INTEGER NOT NULL,
    total INTEGER NOT NULL,
    least INTEGER NOT NULL,
    most INTEGER NOT NULL,
    PRIMARY KEY (span, at, worker_id, kind, bucket)
) STRICT, WITHOUT ROWID;

-- table_stat_error --
-- How often which error ended an execution; `fingerprint` is worker, type and message without numbers.
CREATE TABLE stat_error (
    span INTEGER NOT NULL,
    at INTEGER NOT NULL,
    worker_id INTEGER NOT NULL,
    fingerprint TEXT NOT NULL,
    type TEXT NOT NULL,
    message TEXT NOT NULL,
    n INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    task_id INTEGER,
    PRIMARY KEY (span, at, worker_id, fingerprint)
) STRICT, WITHOUT ROWID;

-- table_idempotency --
-- The answer to each POST that carried a key, for 24 hours.
CREATE TABLE idempotency (
    credential TEXT NOT NULL,
    key TEXT NOT NULL,
    request TEXT NOT NULL,
    task_uids TEXT NOT NULL CHECK (json_valid(task_uids)),
    at INTEGER NOT NULL,
    PRIMARY KEY (credential, key)
) STRICT, WITHOUT ROWID;
