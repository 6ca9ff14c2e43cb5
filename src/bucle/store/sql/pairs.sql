-- create --
-- What two models said of the same rows; a role is 0 for an answer and 1 for a shadow. --
CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pairs (
    id TEXT PRIMARY KEY,
    at INTEGER,
    first_role INTEGER,
    first_said REAL,
    first_us INTEGER,
    second_role INTEGER,
    second_said REAL,
    second_us INTEGER,
    truth REAL,
    is_summed INTEGER NOT NULL DEFAULT 0,
    is_counted INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_time ON pairs (at);
CREATE INDEX IF NOT EXISTS to_sum ON pairs (at)
    WHERE is_summed = 0 AND truth IS NOT NULL AND first_role + second_role = 1;
CREATE TABLE IF NOT EXISTS told (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    at INTEGER NOT NULL,
    label TEXT NOT NULL,
    UNIQUE (id, at, label)
);
CREATE TABLE IF NOT EXISTS sums (slot INTEGER PRIMARY KEY, last INTEGER NOT NULL, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS times (
    kind INTEGER NOT NULL,
    at INTEGER NOT NULL,
    us INTEGER NOT NULL,
    PRIMARY KEY (kind, at, us)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS spread (
    kind INTEGER NOT NULL,
    us INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    PRIMARY KEY (kind, us)
) WITHOUT ROWID;
CREATE TEMP TABLE touched (id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TEMP TABLE truths (id TEXT PRIMARY KEY, truth REAL) WITHOUT ROWID;

-- relaxed --
-- A loss of power may lose what was kept last; it is then read again. --
PRAGMA synchronous = OFF;

-- note --
-- Keep a note. --
INSERT INTO notes (name, value) VALUES (?, ?)
ON CONFLICT (name) DO UPDATE SET value = excluded.value;

-- notes --
-- Find all notes. --
SELECT name, value FROM notes;

-- take_first --
-- Take in what the first model said; what was taken in before is the same. --
INSERT INTO pairs (id, at, first_role, first_said, first_us) VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (id) DO UPDATE SET
    at = CASE WHEN ?3 = 0 THEN ?2 ELSE coalesce(at, ?2) END,
    first_role = ?3, first_said = ?4, first_us = ?5;

-- take_second --
-- Take in what the second model said. --
INSERT INTO pairs (id, at, second_role, second_said, second_us) VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (id) DO UPDATE SET
    at = CASE WHEN ?3 = 0 THEN ?2 ELSE coalesce(at, ?2) END,
    second_role = ?3, second_said = ?4, second_us = ?5;

-- tell --
-- Take in a label. --
INSERT OR IGNORE INTO told (id, at, label) VALUES (?, ?, ?);

-- touch --
-- Note that something is new of a row. --
INSERT OR IGNORE INTO touched (id) VALUES (?);

-- untouch --
-- Forget what was new. --
DELETE FROM touched;

-- forget_truths --
-- Forget what was just learned. --
DELETE FROM truths;

-- touch_since --
-- Note all rows from a moment on. --
INSERT OR IGNORE INTO touched (id) SELECT id FROM pairs WHERE at >= ?;

-- told --
-- Find the labels of the rows that something is new of, as they were told. --
SELECT told.id, told.at, told.label FROM touched JOIN told ON told.id = touched.id
JOIN pairs ON pairs.id = touched.id ORDER BY told.number;

-- find_truth --
-- Note what a row turned out to be. --
INSERT INTO truths (id, truth) VALUES (?, ?);

-- changed --
-- Find in which slots a truth that is summed up changes. --
SELECT DISTINCT pairs.at / ? FROM truths JOIN pairs USING (id)
WHERE pairs.is_summed = 1 AND pairs.truth IS NOT truths.truth;

-- learn --
-- Set what the rows turned out to be. --
UPDATE pairs SET truth = (SELECT truth FROM truths WHERE truths.id = pairs.id)
WHERE id IN (SELECT id FROM truths);

-- reopen --
-- Let the rows of a slot be summed up anew. --
UPDATE pairs SET is_summed = 0 WHERE at >= ?1 AND at < ?2;

-- forget_sum --
-- Forget what a slot came to. --
DELETE FROM sums WHERE slot = ?;

-- late_slots --
-- Find the slots that hold what came after a moment. --
SELECT slot FROM sums WHERE last > ?;

-- ripe --
-- Find the pairs with a label, up to a moment, that are not summed up yet. --
SELECT id, at, truth, first_said, second_said FROM pairs
WHERE is_summed = 0 AND truth IS NOT NULL AND first_role + second_role = 1 AND at <= ?
ORDER BY at;

-- all_ripe --
-- Find all pairs with a label, up to a moment. --
SELECT truth, first_said, second_said FROM pairs
WHERE truth IS NOT NULL AND first_role + second_role = 1 AND at <= ? ORDER BY at;

-- summed --
-- Note that a row is summed up. --
UPDATE pairs SET is_summed = 1 WHERE id = ?;

-- sums --
-- Find what the slots came to. --
SELECT slot, last, value FROM sums ORDER BY slot;

-- keep_sum --
-- Keep what a slot came to. --
INSERT INTO sums (slot, last, value) VALUES (?, ?, ?)
ON CONFLICT (slot) DO UPDATE SET last = max(last, excluded.last), value = excluded.value;

-- find_sum --
-- Find what a slot came to. --
SELECT value FROM sums WHERE slot = ?;

-- count --
-- Count the new pairs from a moment on, and those of them that the second model answered. --
SELECT count(*), coalesce(sum(second_role = 0), 0) FROM touched JOIN pairs USING (id)
WHERE first_role + second_role = 1 AND is_counted = 0 AND at >= ?;

-- counted --
-- Note that they are counted. --
UPDATE pairs SET is_counted = 1 WHERE at >= ? AND first_role + second_role = 1
AND id IN (SELECT id FROM touched);

-- uncount --
-- Begin to count anew. --
UPDATE pairs SET is_counted = 0 WHERE at >= ? AND is_counted = 1;

-- forget_times --
-- Forget how long requests took. --
DELETE FROM times;

-- forget_spread --
-- Forget how many requests took how long. --
DELETE FROM spread;

-- new_times --
-- Find how long new requests took: by the models when they answered, and both for shadows. --
SELECT DISTINCT kind, at, us FROM (
    SELECT 0 AS kind, at, first_us AS us FROM touched JOIN pairs USING (id)
    WHERE first_role = 0 AND at >= ?1
    UNION ALL
    SELECT 1, at, second_us FROM touched JOIN pairs USING (id)
    WHERE second_role = 0 AND at >= ?1
    UNION ALL
    SELECT 2, at, first_us FROM touched JOIN pairs USING (id)
    WHERE first_role = 0 AND second_role = 1 AND at >= ?1
    UNION ALL
    SELECT 3, at, second_us FROM touched JOIN pairs USING (id)
    WHERE first_role = 0 AND second_role = 1 AND at >= ?1
) AS found
WHERE NOT EXISTS (
    SELECT 1 FROM times
    WHERE times.kind = found.kind AND times.at = found.at AND times.us = found.us
);

-- keep_time --
-- Keep that a request took so long. --
INSERT OR IGNORE INTO times (kind, at, us) VALUES (?, ?, ?);

-- keep_spread --
-- Count that a request took so long. --
INSERT INTO spread (kind, us, requests) VALUES (?1, ?3, 1)
ON CONFLICT (kind, us) DO UPDATE SET requests = requests + 1;

-- spread --
-- Find how many requests took how long. --
SELECT us, requests FROM spread WHERE kind = ? ORDER BY us;
