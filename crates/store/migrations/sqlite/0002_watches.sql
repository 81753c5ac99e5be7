-- SQLite: what is known of sources by watching them, and when each is looked at again.

-- due_at is set exactly when it may be claimed; asked and answered are numbers of the last request to register and of the last
-- one that was seen to.
CREATE TABLE watches (
    source INTEGER PRIMARY KEY,
    due_at INTEGER,
    lease INTEGER,
    asked INTEGER,
    answered INTEGER,
    doc TEXT NOT NULL
) STRICT;

CREATE INDEX watches_due ON watches (due_at) WHERE due_at IS NOT NULL;

INSERT INTO watches (source, due_at, doc) SELECT id, 0, '{}' FROM sources;
