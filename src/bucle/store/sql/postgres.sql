-- session --
-- Commits wait for the disk; a client that is paused in a commit keeps the others out for 10 s. --
SET synchronous_commit = on;
SET idle_in_transaction_session_timeout = '10s';
SET lock_timeout = '12s';
SET client_min_messages = warning;

-- end_paused --
-- End sessions that hold a lock here and have waited long for the rest of what their client sends: --
-- a client paused between two parts of a statement is not idle, so nothing else ends it. --
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE usename = current_user AND state = 'active' AND wait_event = 'ClientRead'
    AND query_start < clock_timestamp() - interval '10 s'
    AND pid IN (
        SELECT pid FROM pg_locks
        WHERE granted AND relation IN (to_regclass('events'), to_regclass('leases'))
    );

-- create_lock --
-- One process at a time makes the tables. --
SELECT pg_advisory_xact_lock(hashtext(current_setting('search_path')), 4408);

-- create --
-- One row an event: the bytes its hash covers, and the hash; where the log ends; the leases. --
CREATE TABLE IF NOT EXISTS events (
    position bigint PRIMARY KEY,
    content bytea NOT NULL,
    hash text NOT NULL
);
CREATE TABLE IF NOT EXISTS head (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    format integer NOT NULL,
    position bigint NOT NULL,
    hash text NOT NULL
);
INSERT INTO head (format, position, hash) VALUES (1, 0, repeat('0', 64)) ON CONFLICT DO NOTHING;
CREATE TABLE IF NOT EXISTS leases (
    name text PRIMARY KEY,
    holder text NOT NULL,
    token bigint NOT NULL,
    beat bigint NOT NULL,
    released boolean NOT NULL
);

-- is_made --
-- Tell whether the tables are there. --
SELECT to_regclass('leases') IS NOT NULL;

-- hold_events --
-- One writer at a time; readers go on. --
LOCK TABLE events IN EXCLUSIVE MODE;

-- hold_leases --
-- One change of a lease at a time, and none while an append asks for one. --
LOCK TABLE leases IN EXCLUSIVE MODE;

-- select_head --
-- Where the log ends, as the last append has recorded it. --
SELECT format, position, hash FROM head;

-- select_events --
-- The next events after a position, in order. --
SELECT position, content, hash FROM events WHERE position > %s ORDER BY position LIMIT %s;

-- insert_events --
-- Append sealed events; in one statement, since a client paused between several sent at once is not idle. --
INSERT INTO events (position, content, hash)
SELECT * FROM unnest(%s::bigint[], %s::bytea[], %s::text[]);

-- update_head --
-- Record where the log ends. --
UPDATE head SET position = %s, hash = %s;

-- find_lease --
-- A lease as it stands. --
SELECT name, holder, token, beat, released FROM leases WHERE name = %s;

-- find_lease_of_writer --
-- A lease as it stands until the end of this commit. --
SELECT name, holder, token, beat, released FROM leases WHERE name = %s FOR SHARE;

-- put_lease --
-- Write a lease as it is from now on; who may is decided within the same commit. --
INSERT INTO leases (name, holder, token, beat, released) VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (name) DO UPDATE SET
    holder = excluded.holder,
    token = excluded.token,
    beat = excluded.beat,
    released = excluded.released;
