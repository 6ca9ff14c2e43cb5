-- create --
-- One row a lease, never deleted, so that no token is given twice. --
CREATE TABLE IF NOT EXISTS leases (
    name TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    token INTEGER NOT NULL,
    beat INTEGER NOT NULL,
    released INTEGER NOT NULL
) WITHOUT ROWID;

-- is_made --
-- Tell whether anybody has ever taken a lease here. --
SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'leases';

-- find --
-- A lease as it stands. --
SELECT name, holder, token, beat, released FROM leases WHERE name = ?;

-- put --
-- Write a lease as it is from now on; who may is decided within the same transaction. --
INSERT INTO leases (name, holder, token, beat, released) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (name) DO UPDATE SET
    holder = excluded.holder,
    token = excluded.token,
    beat = excluded.beat,
    released = excluded.released;

-- wait_for_disk --
-- A taken lease is on the disk before its taker acts. --
PRAGMA synchronous = FULL;

-- beat_without_disk --
-- A loss of power ends every holder too, so a sign of life need not survive it. --
PRAGMA synchronous = NORMAL;
