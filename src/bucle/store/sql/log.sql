-- begin --
-- Take the right to write at once, so that reading the head and appending are one act. --
BEGIN IMMEDIATE;

-- commit --
-- Make what was written durable. --
COMMIT;

-- rollback --
-- Forget what was written. --
ROLLBACK;

-- create_events --
-- One row an event: the bytes its hash covers, and the hash. --
CREATE TABLE events (
    position INTEGER PRIMARY KEY,
    content TEXT NOT NULL,
    hash TEXT NOT NULL
);

-- create_torn --
-- What was cut off a damaged end, kept as evidence; content is null for what was gone. --
CREATE TABLE torn (
    found INTEGER PRIMARY KEY,
    position INTEGER NOT NULL,
    content TEXT,
    hash TEXT,
    repair INTEGER NOT NULL
);

-- count_tables --
-- Tell a new database from one with something in it. --
SELECT count(*) FROM sqlite_master;

-- insert_event --
-- Append one sealed event. --
INSERT INTO events (position, content, hash) VALUES (?, ?, ?);

-- select_events --
-- The next events after a position, in order. --
SELECT position, content, hash FROM events WHERE position > ? ORDER BY position LIMIT ?;

-- select_event --
-- One event. --
SELECT position, content, hash FROM events WHERE position = ?;

-- select_last --
-- Events from the end backwards. --
SELECT position, content, hash FROM events ORDER BY position DESC;

-- keep_torn --
-- Move the damaged end out of the way: copy. --
INSERT INTO torn (position, content, hash, repair)
SELECT position, content, hash, ?2 FROM events WHERE position > ?1 ORDER BY position;

-- delete_torn --
-- Move the damaged end out of the way: delete. --
DELETE FROM events WHERE position > ?;

-- keep_lost --
-- Remember an event that the head file knew and the database did not. --
INSERT INTO torn (position, content, hash, repair) VALUES (?, NULL, ?, ?);

-- is_known_lost --
-- Tell whether a repair has already recorded that this event was lost. --
SELECT count(*) FROM torn WHERE position = ? AND hash = ?;
