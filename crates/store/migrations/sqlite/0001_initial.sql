-- SQLite: the first schema. Ids are 64-bit and time-ordered: primary key, cursor and time index at once.
-- Few, narrow, time-ordered indexes (ADR 3); times are milliseconds since the epoch.

-- Owners of endpoints.
CREATE TABLE apps (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    version INTEGER NOT NULL DEFAULT 1
) STRICT;

-- Configured places webhooks come in; what only the adapter needs is in doc.
CREATE TABLE sources (
    id INTEGER PRIMARY KEY,
    app INTEGER NOT NULL,
    platform TEXT NOT NULL,
    name TEXT NOT NULL,
    path TEXT,
    doc TEXT NOT NULL,
    version INTEGER NOT NULL DEFAULT 1
) STRICT;

-- Addresses on sources.
CREATE TABLE accounts (
    id INTEGER PRIMARY KEY,
    source INTEGER NOT NULL,
    app INTEGER NOT NULL,
    address TEXT NOT NULL,
    name TEXT,
    version INTEGER NOT NULL DEFAULT 1
) STRICT;

-- Where events are delivered.
CREATE TABLE endpoints (
    id INTEGER PRIMARY KEY,
    app INTEGER NOT NULL,
    state TEXT NOT NULL,
    failing_since INTEGER,
    doc TEXT NOT NULL,
    version INTEGER NOT NULL DEFAULT 1
) STRICT;

-- Credentials for our API; only hashes.
CREATE TABLE tokens (
    id INTEGER PRIMARY KEY,
    app INTEGER,
    role TEXT NOT NULL,
    name TEXT NOT NULL,
    hint TEXT NOT NULL,
    expires_at INTEGER,
    token_hash BLOB NOT NULL
) STRICT;

-- Who did what.
CREATE TABLE audit (
    id INTEGER PRIMARY KEY,
    app INTEGER,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL
) STRICT;

-- Answers already given, by caller, route and key.
CREATE TABLE idempotency (
    key1 INTEGER NOT NULL,
    key2 INTEGER NOT NULL,
    body_hash INTEGER NOT NULL,
    made_at INTEGER NOT NULL,
    answer TEXT,
    PRIMARY KEY (key1, key2)
) STRICT, WITHOUT ROWID;

-- Single numbers: schema, routing version, watermarks.
CREATE TABLE meta (
    name TEXT NOT NULL,
    value INTEGER NOT NULL,
    PRIMARY KEY (name)
) STRICT, WITHOUT ROWID;

-- Every request, narrow; its bytes are in bodies.
CREATE TABLE receipts (
    id INTEGER PRIMARY KEY,
    source INTEGER,
    state INTEGER NOT NULL,
    reason TEXT,
    method TEXT NOT NULL,
    path TEXT NOT NULL,
    peer TEXT NOT NULL,
    body_bytes INTEGER NOT NULL,
    items INTEGER NOT NULL,
    items_new INTEGER NOT NULL
) STRICT;

-- What came, byte for byte, with the first 64 bits of its SHA-256.
CREATE TABLE bodies (
    id INTEGER PRIMARY KEY,
    headers TEXT NOT NULL,
    body BLOB NOT NULL,
    body_check INTEGER NOT NULL
) STRICT;

-- One thing that happened, immutable; content is NULL where the receipt's body is the content.
CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    app INTEGER NOT NULL,
    source INTEGER,
    account INTEGER,
    conversation INTEGER,
    receipt INTEGER,
    event_type TEXT NOT NULL,
    occurred_at INTEGER NOT NULL,
    content TEXT,
    content_check INTEGER NOT NULL,
    key1 INTEGER,
    key2 INTEGER
) STRICT;

-- Events are found by their dedupe key and by their conversation in sorted runs, each of many events in their order;
-- those after the last run are known in memory (src/runs.rs).
CREATE TABLE runs (
    run INTEGER PRIMARY KEY,
    last_event INTEGER NOT NULL
) STRICT;

-- 128 bits of SHA-256 over source and platform's own id: the proof that an event is new.
CREATE TABLE dedupe (
    run INTEGER NOT NULL,
    key1 INTEGER NOT NULL,
    key2 INTEGER NOT NULL,
    PRIMARY KEY (run, key1, key2)
) STRICT, WITHOUT ROWID;

-- The events of a conversation.
CREATE TABLE conversation_events (
    run INTEGER NOT NULL,
    conversation INTEGER NOT NULL,
    event INTEGER NOT NULL,
    PRIMARY KEY (run, conversation, event)
) STRICT, WITHOUT ROWID;

-- Filters over the dedupe keys of many runs each, written when no key comes into them any more.
CREATE TABLE dedupe_filters (
    generation INTEGER PRIMARY KEY,
    bits BLOB NOT NULL
) STRICT;

-- One event owed to one endpoint. due_at is set exactly when it may be claimed.
CREATE TABLE deliveries (
    id INTEGER PRIMARY KEY,
    event INTEGER NOT NULL,
    endpoint INTEGER NOT NULL,
    line INTEGER,
    state INTEGER NOT NULL,
    retrying INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    due_at INTEGER,
    lease INTEGER,
    last_error TEXT,
    replayed_by INTEGER
) STRICT;

-- Which values occur in which block of a table (src/blocks.rs).
CREATE TABLE blocks (
    kind INTEGER NOT NULL,
    value INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    PRIMARY KEY (kind, value, first)
) STRICT, WITHOUT ROWID;

-- Each try of a delivery or a send.
CREATE TABLE attempts (
    owner INTEGER NOT NULL,
    number INTEGER NOT NULL,
    id INTEGER NOT NULL,
    status INTEGER,
    error TEXT,
    peer TEXT,
    resolve_us INTEGER NOT NULL,
    connect_us INTEGER NOT NULL,
    tls_us INTEGER NOT NULL,
    first_byte_us INTEGER NOT NULL,
    total_us INTEGER NOT NULL,
    answer_headers TEXT NOT NULL,
    answer_excerpt BLOB NOT NULL,
    PRIMARY KEY (owner, number)
) STRICT, WITHOUT ROWID;

-- People at the other end.
CREATE TABLE contacts (
    id INTEGER PRIMARY KEY,
    app INTEGER NOT NULL,
    name TEXT
) STRICT;

-- What contacts are known by.
CREATE TABLE identifiers (
    app INTEGER NOT NULL,
    identifier TEXT NOT NULL,
    contact INTEGER NOT NULL,
    PRIMARY KEY (app, identifier)
) STRICT, WITHOUT ROWID;

-- The line of messages with one contact on one account.
CREATE TABLE conversations (
    id INTEGER PRIMARY KEY,
    app INTEGER NOT NULL,
    account INTEGER NOT NULL,
    contact INTEGER NOT NULL,
    state TEXT NOT NULL,
    last_inbound_at INTEGER,
    touched_at INTEGER NOT NULL
) STRICT;

-- Outgoing messages owed to a platform. due_at is set exactly when it may be claimed.
CREATE TABLE sends (
    id INTEGER PRIMARY KEY,
    app INTEGER NOT NULL,
    account INTEGER NOT NULL,
    conversation INTEGER,
    line INTEGER NOT NULL,
    state INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    due_at INTEGER,
    lease INTEGER,
    message_state TEXT,
    message_id TEXT,
    last_error TEXT,
    doc TEXT NOT NULL
) STRICT;

-- How far the turns of accounts to send are taken, and of lines on them; line 0 is the account itself.
CREATE TABLE turns (
    account INTEGER NOT NULL,
    line INTEGER NOT NULL,
    even_ns INTEGER NOT NULL,
    rest_until INTEGER,
    PRIMARY KEY (account, line)
) STRICT, WITHOUT ROWID;

-- Statuses that came before the send they belong to was answered.
CREATE TABLE parked (
    account INTEGER NOT NULL,
    message_id TEXT NOT NULL,
    state_name TEXT NOT NULL,
    parked_at INTEGER NOT NULL,
    PRIMARY KEY (account, message_id, state_name)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX sources_path ON sources (path);
CREATE UNIQUE INDEX accounts_address ON accounts (source, address);
CREATE UNIQUE INDEX tokens_hash ON tokens (token_hash);
CREATE INDEX receipts_odd ON receipts (state, id) WHERE state > 0;
CREATE INDEX receipts_of_no_source ON receipts (source, id) WHERE source IS NULL;
CREATE INDEX events_receipt ON events (receipt) WHERE receipt IS NOT NULL;
CREATE INDEX deliveries_due ON deliveries (endpoint, retrying, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX deliveries_line ON deliveries (endpoint, line, id) WHERE line IS NOT NULL AND state <= 2;
CREATE INDEX deliveries_open ON deliveries (state, id) WHERE state <> 3;
CREATE INDEX deliveries_event ON deliveries (event);
CREATE INDEX identifiers_contact ON identifiers (contact);
CREATE UNIQUE INDEX conversations_pair ON conversations (contact, account);
CREATE INDEX conversations_app ON conversations (app, id);
CREATE INDEX conversations_account ON conversations (account, id);
CREATE INDEX conversations_set ON conversations (state, id) WHERE state <> 'open';
CREATE INDEX contacts_app ON contacts (app, id);
CREATE INDEX idempotency_made ON idempotency (made_at);
CREATE INDEX parked_at ON parked (parked_at);
CREATE INDEX sends_due ON sends (account, due_at, id) WHERE state = 0 AND due_at IS NOT NULL;
CREATE INDEX sends_leased ON sends (due_at) WHERE state = 1;
CREATE INDEX blocks_first ON blocks (kind, first);
CREATE INDEX sends_conversation ON sends (conversation, id) WHERE conversation IS NOT NULL;
CREATE INDEX sends_line ON sends (line, id) WHERE state <= 1;
CREATE INDEX turns_even ON turns (even_ns);
CREATE INDEX sends_open ON sends (state, id) WHERE state <> 2;
CREATE INDEX sends_message ON sends (account, message_id) WHERE message_id IS NOT NULL;
