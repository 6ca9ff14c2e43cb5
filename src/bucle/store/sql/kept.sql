-- look --
-- Find what is kept under a key. --
SELECT content FROM kept WHERE kind = ? AND key = ?;

-- keep --
-- Keep a text; the last one under a key wins. --
INSERT INTO kept (kind, key, content) VALUES (?, ?, ?)
ON CONFLICT (kind, key) DO UPDATE SET content = excluded.content;

-- create --
-- One row a text: its digest, a line feed, and the text itself. --
CREATE TABLE IF NOT EXISTS kept (
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    content BLOB NOT NULL,
    PRIMARY KEY (kind, key)
) WITHOUT ROWID;

-- journal --
-- Readers and one writer at a time do not wait for each other. --
PRAGMA journal_mode = WAL;

-- relaxed --
-- A loss of power may lose what was kept last; it is then worked out again. --
PRAGMA synchronous = OFF;
