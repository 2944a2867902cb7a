-- insert_event --
-- Written in the transaction of the change it tells of.
INSERT INTO event (id, at, name, actor, task_id, execution_id, object, state, payload)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?);

-- after --
-- The feed from a place on; the ordinal is the cursor.
SELECT event.id, event.at, event.name, event.actor, task.uid, event.execution_id, event.object, event.state,
       event.payload
  FROM event LEFT JOIN task ON task.id = event.task_id
 WHERE event.id > :after ORDER BY event.id LIMIT :limit;

-- of_task --
-- The history of one task, oldest first.
SELECT event.id, event.at, event.name, event.actor, task.uid, event.execution_id, event.object, event.state,
       event.payload
  FROM event JOIN task ON task.id = event.task_id
 WHERE event.task_id = :task_id AND event.id > :after ORDER BY event.id LIMIT :limit;

-- bounds --
-- Oldest and newest ordinal, to tell a reader that it missed some.
SELECT coalesce(min(id), 0), coalesce(max(id), 0) FROM event;
