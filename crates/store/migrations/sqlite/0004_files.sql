-- SQLite: files of messages and uploads, and the keys that links to them are signed with. Their bytes are not here.

-- due_at is set exactly when one may be claimed to be fetched; doc holds what no query asks for.
CREATE TABLE files (
    id INTEGER PRIMARY KEY,
    app INTEGER NOT NULL,
    account INTEGER,
    event INTEGER,
    state INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    due_at INTEGER,
    lease INTEGER,
    doc TEXT NOT NULL
) STRICT;

CREATE INDEX files_due ON files (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX files_app ON files (app, id);
CREATE INDEX files_held ON files (id) WHERE state <> 3;
CREATE INDEX files_removed ON files (id) WHERE state = 3;
CREATE INDEX files_unfinished ON files (id) WHERE state = 0 AND event IS NULL;

-- Secrets of our own making.
CREATE TABLE keys (
    name TEXT NOT NULL,
    secret BLOB NOT NULL,
    PRIMARY KEY (name)
) STRICT, WITHOUT ROWID;
