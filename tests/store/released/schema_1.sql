-- A database of schema 1.
BEGIN TRANSACTION;
CREATE TABLE "_sqlite_migrations" (
   "id" INTEGER PRIMARY KEY,
   "migration_set" TEXT,
   "name" TEXT,
   "applied_at" TEXT
);
INSERT INTO "_sqlite_migrations" VALUES(1,'tasky','create_spine','then');
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
INSERT INTO "event" VALUES(1,1800000000000000,'task.created','',1,NULL,NULL,'new',NULL);
INSERT INTO "event" VALUES(2,1800000000000000,'task.created','',2,NULL,NULL,'queued',NULL);
INSERT INTO "event" VALUES(3,1800000000000000,'task.created','',3,NULL,NULL,'queued',NULL);
INSERT INTO "event" VALUES(4,1800000000000000,'task.created','',4,NULL,NULL,'queued',NULL);
INSERT INTO "event" VALUES(5,1800000000000000,'task.created','',5,NULL,NULL,'queued',NULL);
INSERT INTO "event" VALUES(6,1800000000000000,'task.created','',6,NULL,NULL,'queued',NULL);
INSERT INTO "event" VALUES(7,1800000000000000,'task.created','',7,NULL,NULL,'queued',NULL);
INSERT INTO "event" VALUES(8,1800000000000000,'task.created','',8,NULL,NULL,'queued',NULL);
INSERT INTO "event" VALUES(9,1800000000000000,'task.created','',9,NULL,NULL,'queued',NULL);
INSERT INTO "event" VALUES(10,1800000000000000,'task.created','',10,NULL,NULL,'queued',NULL);
INSERT INTO "event" VALUES(11,1800000000000000,'task.created','',11,NULL,NULL,'queued',NULL);
INSERT INTO "event" VALUES(12,1800000000000000,'execution.started','engine',3,3,NULL,'running',NULL);
INSERT INTO "event" VALUES(13,1800000000000000,'execution.started','engine',4,4,NULL,'running',NULL);
INSERT INTO "event" VALUES(14,1800000000000000,'to.paused','worker',4,4,NULL,'paused',NULL);
INSERT INTO "event" VALUES(15,1800000000000000,'execution.started','engine',5,5,NULL,'running',NULL);
INSERT INTO "event" VALUES(16,1800000000000000,'to.waiting','worker',5,5,NULL,'waiting',NULL);
INSERT INTO "event" VALUES(17,1800000000000000,'execution.started','engine',6,6,NULL,'running',NULL);
INSERT INTO "event" VALUES(18,1800000000000000,'execution.ended','engine',6,6,NULL,'succeeded',NULL);
INSERT INTO "event" VALUES(19,1800000000000000,'execution.started','engine',7,7,NULL,'running',NULL);
INSERT INTO "event" VALUES(20,1800000000000000,'execution.ended','engine',7,7,NULL,'failed',NULL);
INSERT INTO "event" VALUES(21,1800000000000000,'execution.started','engine',8,8,NULL,'running',NULL);
INSERT INTO "event" VALUES(22,1800000000000000,'execution.ended','engine',8,8,NULL,'cancelled',NULL);
INSERT INTO "event" VALUES(23,1800000000000000,'execution.started','engine',9,9,NULL,'running',NULL);
INSERT INTO "event" VALUES(24,1800000000000000,'execution.ended','engine',9,9,NULL,'timed_out',NULL);
INSERT INTO "event" VALUES(25,1800000000000000,'execution.started','engine',10,10,NULL,'running',NULL);
INSERT INTO "event" VALUES(26,1800000000000000,'execution.ended','engine',10,10,NULL,'killed',NULL);
INSERT INTO "event" VALUES(27,1800000000000000,'execution.started','engine',11,11,NULL,'running',NULL);
INSERT INTO "event" VALUES(28,1800000000000000,'execution.ended','engine',11,11,NULL,'lost',NULL);
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
INSERT INTO "execution" VALUES(1,1,1,1,'new',0,1,1,1,0,NULL,0,NULL,NULL,NULL,1800000000000000,0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "execution" VALUES(2,2,2,1,'queued',0,1,1,1,0,NULL,0,1800000000000000,NULL,NULL,1800000000000000,0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "execution" VALUES(3,3,3,1,'running',0,1,1,1,0,NULL,3,1800000000000000,1800000000000000,NULL,1800000000000000,0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "execution" VALUES(4,4,4,1,'paused',0,1,1,1,0,NULL,4,1800000000000000,1800000000000000,NULL,1800000000000000,0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "execution" VALUES(5,5,5,1,'waiting',0,1,1,1,0,NULL,5,1800000000000000,1800000000000000,NULL,1800000000000000,0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "execution" VALUES(6,6,6,1,'succeeded',0,1,1,1,0,NULL,6,1800000000000000,1800000000000000,1800000000000000,1800000000000000,0,0,NULL,'bytes',3,NULL,NULL,NULL,NULL);
INSERT INTO "execution" VALUES(7,7,7,1,'failed',0,1,1,1,0,NULL,7,1800000000000000,1800000000000000,1800000000000000,1800000000000000,0,0,NULL,'bytes',3,NULL,NULL,NULL,NULL);
INSERT INTO "execution" VALUES(8,8,8,1,'cancelled',0,1,1,1,0,NULL,8,1800000000000000,1800000000000000,1800000000000000,1800000000000000,0,0,NULL,'bytes',3,NULL,NULL,NULL,NULL);
INSERT INTO "execution" VALUES(9,9,9,1,'timed_out',0,1,1,1,0,NULL,9,1800000000000000,1800000000000000,1800000000000000,1800000000000000,0,0,NULL,'bytes',3,NULL,NULL,NULL,NULL);
INSERT INTO "execution" VALUES(10,10,10,1,'killed',0,1,1,1,0,NULL,10,1800000000000000,1800000000000000,1800000000000000,1800000000000000,0,0,NULL,'bytes',3,NULL,NULL,NULL,NULL);
INSERT INTO "execution" VALUES(11,11,11,1,'lost',0,1,1,1,0,NULL,11,1800000000000000,1800000000000000,1800000000000000,1800000000000000,0,0,NULL,'bytes',3,NULL,NULL,NULL,NULL);
CREATE TABLE idempotency (
    credential TEXT NOT NULL,
    key TEXT NOT NULL,
    request TEXT NOT NULL,
    task_uids TEXT NOT NULL CHECK (json_valid(task_uids)),
    at INTEGER NOT NULL,
    PRIMARY KEY (credential, key)
) STRICT, WITHOUT ROWID;
INSERT INTO "idempotency" VALUES('','key-0','hash','["00000000000000000000000000000000"]',1800000000000000);
INSERT INTO "idempotency" VALUES('','key-1','hash','["00000000000000000000000000000001"]',1800000000000000);
INSERT INTO "idempotency" VALUES('','key-10','hash','["0000000000000000000000000000000a"]',1800000000000000);
INSERT INTO "idempotency" VALUES('','key-2','hash','["00000000000000000000000000000002"]',1800000000000000);
INSERT INTO "idempotency" VALUES('','key-3','hash','["00000000000000000000000000000003"]',1800000000000000);
INSERT INTO "idempotency" VALUES('','key-4','hash','["00000000000000000000000000000004"]',1800000000000000);
INSERT INTO "idempotency" VALUES('','key-5','hash','["00000000000000000000000000000005"]',1800000000000000);
INSERT INTO "idempotency" VALUES('','key-6','hash','["00000000000000000000000000000006"]',1800000000000000);
INSERT INTO "idempotency" VALUES('','key-7','hash','["00000000000000000000000000000007"]',1800000000000000);
INSERT INTO "idempotency" VALUES('','key-8','hash','["00000000000000000000000000000008"]',1800000000000000);
INSERT INTO "idempotency" VALUES('','key-9','hash','["00000000000000000000000000000009"]',1800000000000000);
CREATE TABLE log (
    execution_id INTEGER NOT NULL REFERENCES execution (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    at INTEGER NOT NULL,
    level TEXT NOT NULL,
    stream TEXT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (execution_id, seq)
) STRICT, WITHOUT ROWID;
INSERT INTO "log" VALUES(3,1,1800000000000000,'info','log','hello');
INSERT INTO "log" VALUES(4,1,1800000000000000,'info','log','hello');
INSERT INTO "log" VALUES(5,1,1800000000000000,'info','log','hello');
INSERT INTO "log" VALUES(6,1,1800000000000000,'info','log','hello');
INSERT INTO "log" VALUES(7,1,1800000000000000,'info','log','hello');
INSERT INTO "log" VALUES(8,1,1800000000000000,'info','log','hello');
INSERT INTO "log" VALUES(9,1,1800000000000000,'info','log','hello');
INSERT INTO "log" VALUES(10,1,1800000000000000,'info','log','hello');
INSERT INTO "log" VALUES(11,1,1800000000000000,'info','log','hello');
CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "meta" VALUES('epoch','e');
CREATE TABLE output_chunk (
    execution_id INTEGER NOT NULL REFERENCES execution (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (execution_id, seq)
) STRICT, WITHOUT ROWID;
INSERT INTO "output_chunk" VALUES(6,0,X'616263');
INSERT INTO "output_chunk" VALUES(7,0,X'616263');
INSERT INTO "output_chunk" VALUES(8,0,X'616263');
INSERT INTO "output_chunk" VALUES(9,0,X'616263');
INSERT INTO "output_chunk" VALUES(10,0,X'616263');
INSERT INTO "output_chunk" VALUES(11,0,X'616263');
CREATE TABLE result (
    id INTEGER PRIMARY KEY,
    task_id INTEGER NOT NULL,
    times INTEGER NOT NULL CHECK (times BETWEEN 1 AND 10000),
    submitted_at INTEGER NOT NULL
) STRICT;
INSERT INTO "result" VALUES(1,1,1,1800000000000000);
INSERT INTO "result" VALUES(2,2,1,1800000000000000);
INSERT INTO "result" VALUES(3,3,1,1800000000000000);
INSERT INTO "result" VALUES(4,4,1,1800000000000000);
INSERT INTO "result" VALUES(5,5,1,1800000000000000);
INSERT INTO "result" VALUES(6,6,1,1800000000000000);
INSERT INTO "result" VALUES(7,7,1,1800000000000000);
INSERT INTO "result" VALUES(8,8,1,1800000000000000);
INSERT INTO "result" VALUES(9,9,1,1800000000000000);
INSERT INTO "result" VALUES(10,10,1,1800000000000000);
INSERT INTO "result" VALUES(11,11,1,1800000000000000);
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
INSERT INTO "stat" VALUES(60,1800000000,1,'cancelled',0,1,0,0,0);
INSERT INTO "stat" VALUES(60,1800000000,1,'failed',0,2,0,0,0);
INSERT INTO "stat" VALUES(60,1800000000,1,'killed',0,1,0,0,0);
INSERT INTO "stat" VALUES(60,1800000000,1,'lost',0,1,0,0,0);
INSERT INTO "stat" VALUES(60,1800000000,1,'run',0,7,0,0,0);
INSERT INTO "stat" VALUES(60,1800000000,1,'succeeded',0,1,0,0,0);
INSERT INTO "stat" VALUES(60,1800000000,1,'timed_out',0,1,0,0,0);
INSERT INTO "stat" VALUES(60,1800000000,1,'wait',0,1,0,0,0);
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
INSERT INTO "stat_error" VALUES(60,1800000000,1,'ValueError: no file #','ValueError','no file 17',1,1800000000000000,1);
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
INSERT INTO "task" VALUES(1,'00000000000000000000000000000000',1,'new','{"n":1}',0,'default','{"env":"prod"}',NULL,'native','',NULL,1,0,NULL,1800000000000000,NULL,NULL,NULL,NULL,NULL,1,1,NULL,NULL,NULL,1);
INSERT INTO "task" VALUES(2,'00000000000000000000000000000001',1,'queued','{"n":1}',0,'default','{"env":"prod"}',NULL,'native','',NULL,1,0,NULL,1800000000000000,1800000000000000,NULL,NULL,NULL,NULL,2,2,NULL,NULL,NULL,1);
INSERT INTO "task" VALUES(3,'00000000000000000000000000000002',1,'running','{"n":1}',0,'default','{"env":"prod"}',NULL,'native','',NULL,1,1,NULL,1800000000000000,1800000000000000,1800000000000000,NULL,NULL,NULL,3,3,NULL,NULL,NULL,2);
INSERT INTO "task" VALUES(4,'00000000000000000000000000000003',1,'paused','{"n":1}',0,'default','{"env":"prod"}',NULL,'native','',NULL,1,1,NULL,1800000000000000,1800000000000000,1800000000000000,NULL,NULL,NULL,4,4,NULL,NULL,NULL,3);
INSERT INTO "task" VALUES(5,'00000000000000000000000000000004',1,'waiting','{"n":1}',0,'default','{"env":"prod"}',NULL,'native','',NULL,1,1,NULL,1800000000000000,1800000000000000,1800000000000000,NULL,NULL,NULL,5,5,NULL,NULL,NULL,3);
INSERT INTO "task" VALUES(6,'00000000000000000000000000000005',1,'succeeded','{"n":1}',0,'default','{"env":"prod"}',NULL,'native','',NULL,1,1,NULL,1800000000000000,1800000000000000,1800000000000000,1800000000000000,NULL,NULL,6,6,NULL,NULL,NULL,3);
INSERT INTO "task" VALUES(7,'00000000000000000000000000000006',1,'failed','{"n":1}',0,'default','{"env":"prod"}',NULL,'native','',NULL,1,1,NULL,1800000000000000,1800000000000000,1800000000000000,1800000000000000,NULL,NULL,7,7,NULL,NULL,NULL,3);
INSERT INTO "task" VALUES(8,'00000000000000000000000000000007',1,'cancelled','{"n":1}',0,'default','{"env":"prod"}',NULL,'native','',NULL,1,1,NULL,1800000000000000,1800000000000000,1800000000000000,1800000000000000,NULL,NULL,8,8,NULL,NULL,NULL,3);
INSERT INTO "task" VALUES(9,'00000000000000000000000000000008',1,'timed_out','{"n":1}',0,'default','{"env":"prod"}',NULL,'native','',NULL,1,1,NULL,1800000000000000,1800000000000000,1800000000000000,1800000000000000,NULL,NULL,9,9,NULL,NULL,NULL,3);
INSERT INTO "task" VALUES(10,'00000000000000000000000000000009',1,'killed','{"n":1}',0,'default','{"env":"prod"}',NULL,'native','',NULL,1,1,NULL,1800000000000000,1800000000000000,1800000000000000,1800000000000000,NULL,NULL,10,10,NULL,NULL,NULL,3);
INSERT INTO "task" VALUES(11,'0000000000000000000000000000000a',1,'lost','{"n":1}',0,'default','{"env":"prod"}',NULL,'native','',NULL,1,1,NULL,1800000000000000,1800000000000000,1800000000000000,1800000000000000,NULL,NULL,11,11,NULL,NULL,NULL,3);
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
INSERT INTO "worker" VALUES(1,'copy_file','thread',1,1,NULL,NULL,NULL,'Copy a file.',NULL,1800000000000000,1800000000000000,1);
CREATE UNIQUE INDEX "idx__sqlite_migrations_migration_set_name"
    ON "_sqlite_migrations" ("migration_set", "name");
CREATE INDEX task_open ON task (state, id) WHERE ended_at IS NULL;
CREATE INDEX task_trouble ON task (state, id) WHERE ended_at IS NOT NULL AND state <> 'succeeded';
CREATE INDEX task_worker ON task (worker_id, id);
CREATE UNIQUE INDEX task_key ON task (key) WHERE key IS NOT NULL AND ended_at IS NULL;
CREATE INDEX execution_task ON execution (task_id, id);
CREATE INDEX execution_ready ON execution (worker_id, priority DESC, id)
    WHERE state = 'queued' AND not_before IS NULL;
CREATE INDEX execution_due ON execution (not_before) WHERE state = 'queued' AND not_before IS NOT NULL;
CREATE INDEX event_task ON event (task_id, id) WHERE task_id IS NOT NULL;
COMMIT;
