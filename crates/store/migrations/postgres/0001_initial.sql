-- PostgreSQL: the first schema. Ids are 64-bit and time-ordered: primary key, cursor and time index at once.
-- Few, narrow, time-ordered indexes (ADR 3); times are milliseconds since the epoch.

-- Owners of endpoints.
CREATE TABLE apps (
    id BIGINT PRIMARY KEY,
    name TEXT NOT NULL,
    version BIGINT NOT NULL DEFAULT 1
);

-- Configured places webhooks come in; what only the adapter needs is in doc.
CREATE TABLE sources (
    id BIGINT PRIMARY KEY,
    app BIGINT NOT NULL,
    platform TEXT NOT NULL,
    name TEXT NOT NULL,
    path TEXT,
    doc TEXT NOT NULL,
    version BIGINT NOT NULL DEFAULT 1
);

-- Addresses on sources.
CREATE TABLE accounts (
    id BIGINT PRIMARY KEY,
    source BIGINT NOT NULL,
    app BIGINT NOT NULL,
    address TEXT NOT NULL,
    name TEXT,
    version BIGINT NOT NULL DEFAULT 1
);

-- Where events are delivered.
CREATE TABLE endpoints (
    id BIGINT PRIMARY KEY,
    app BIGINT NOT NULL,
    state TEXT NOT NULL,
    failing_since BIGINT,
    doc TEXT NOT NULL,
    version BIGINT NOT NULL DEFAULT 1
);

-- Credentials for our API; only hashes.
CREATE TABLE tokens (
    id BIGINT PRIMARY KEY,
    app BIGINT,
    role TEXT NOT NULL,
    name TEXT NOT NULL,
    hint TEXT NOT NULL,
    expires_at BIGINT,
    token_hash BYTEA NOT NULL
);

-- Who did what.
CREATE TABLE audit (
    id BIGINT PRIMARY KEY,
    app BIGINT,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL
);

-- Answers already given, by caller, route and key.
CREATE TABLE idempotency (
    key1 BIGINT NOT NULL,
    key2 BIGINT NOT NULL,
    body_hash BIGINT NOT NULL,
    made_at BIGINT NOT NULL,
    answer TEXT,
    PRIMARY KEY (key1, key2)
);

-- Single numbers: schema, routing version, watermarks.
CREATE TABLE meta (
    name TEXT NOT NULL,
    value BIGINT NOT NULL,
    PRIMARY KEY (name)
);

-- Every request, narrow; its bytes are in bodies.
CREATE TABLE receipts (
    id BIGINT PRIMARY KEY,
    source BIGINT,
    state BIGINT NOT NULL,
    reason TEXT,
    method TEXT NOT NULL,
    path TEXT NOT NULL,
    peer TEXT NOT NULL,
    body_bytes BIGINT NOT NULL,
    items BIGINT NOT NULL,
    items_new BIGINT NOT NULL
);

-- What came, byte for byte, with the first 64 bits of its SHA-256.
CREATE TABLE bodies (
    id BIGINT PRIMARY KEY,
    headers TEXT NOT NULL,
    body BYTEA NOT NULL,
    body_check BIGINT NOT NULL
);

-- One thing that happened, immutable; content is NULL where the receipt's body is the content.
CREATE TABLE events (
    id BIGINT PRIMARY KEY,
    app BIGINT NOT NULL,
    source BIGINT,
    account BIGINT,
    conversation BIGINT,
    receipt BIGINT,
    event_type TEXT NOT NULL,
    occurred_at BIGINT NOT NULL,
    content TEXT,
    content_check BIGINT NOT NULL,
    key1 BIGINT,
    key2 BIGINT
);

-- 128 bits of SHA-256 over source and platform's own id: the proof that an event is new.
CREATE TABLE dedupe (
    key1 BIGINT NOT NULL,
    key2 BIGINT NOT NULL,
    event BIGINT NOT NULL,
    PRIMARY KEY (key1, key2)
);

-- One event owed to one endpoint. due_at is set exactly when it may be claimed.
CREATE TABLE deliveries (
    id BIGINT PRIMARY KEY,
    event BIGINT NOT NULL,
    endpoint BIGINT NOT NULL,
    line BIGINT,
    state BIGINT NOT NULL,
    retrying BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    due_at BIGINT,
    lease BIGINT,
    last_error TEXT,
    replayed_by BIGINT
);

-- Which values occur in which block of a table (src/blocks.rs).
CREATE TABLE blocks (
    kind BIGINT NOT NULL,
    value BIGINT NOT NULL,
    first BIGINT NOT NULL,
    last BIGINT NOT NULL,
    PRIMARY KEY (kind, value, first)
);

-- Each try of a delivery or a send.
CREATE TABLE attempts (
    owner BIGINT NOT NULL,
    number BIGINT NOT NULL,
    id BIGINT NOT NULL,
    status BIGINT,
    error TEXT,
    peer TEXT,
    resolve_us BIGINT NOT NULL,
    connect_us BIGINT NOT NULL,
    tls_us BIGINT NOT NULL,
    first_byte_us BIGINT NOT NULL,
    total_us BIGINT NOT NULL,
    answer_headers TEXT NOT NULL,
    answer_excerpt BYTEA NOT NULL,
    PRIMARY KEY (owner, number)
);

-- People at the other end.
CREATE TABLE contacts (
    id BIGINT PRIMARY KEY,
    app BIGINT NOT NULL,
    name TEXT
);

-- What contacts are known by.
CREATE TABLE identifiers (
    app BIGINT NOT NULL,
    identifier TEXT NOT NULL,
    contact BIGINT NOT NULL,
    PRIMARY KEY (app, identifier)
);

-- The line of messages with one contact on one account.
CREATE TABLE conversations (
    id BIGINT PRIMARY KEY,
    app BIGINT NOT NULL,
    account BIGINT NOT NULL,
    contact BIGINT NOT NULL,
    state TEXT NOT NULL,
    last_inbound_at BIGINT,
    touched_at BIGINT NOT NULL
);

-- Outgoing messages owed to a platform. due_at is set exactly when it may be claimed.
CREATE TABLE sends (
    id BIGINT PRIMARY KEY,
    app BIGINT NOT NULL,
    account BIGINT NOT NULL,
    conversation BIGINT,
    line BIGINT NOT NULL,
    state BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    due_at BIGINT,
    lease BIGINT,
    message_state TEXT,
    message_id TEXT,
    last_error TEXT,
    doc TEXT NOT NULL
);

-- How far the turns of accounts to send are taken, and of lines on them; line 0 is the account itself.
CREATE TABLE turns (
    account BIGINT NOT NULL,
    line BIGINT NOT NULL,
    even_ns BIGINT NOT NULL,
    rest_until BIGINT,
    PRIMARY KEY (account, line)
);

-- Statuses that came before the send they belong to was answered.
CREATE TABLE parked (
    account BIGINT NOT NULL,
    message_id TEXT NOT NULL,
    state_name TEXT NOT NULL,
    parked_at BIGINT NOT NULL,
    PRIMARY KEY (account, message_id, state_name)
);

CREATE UNIQUE INDEX sources_path ON sources (path);
CREATE UNIQUE INDEX accounts_address ON accounts (source, address);
CREATE UNIQUE INDEX tokens_hash ON tokens (token_hash);
CREATE INDEX receipts_odd ON receipts (state, id) WHERE state > 0;
CREATE INDEX receipts_of_no_source ON receipts (source, id) WHERE source IS NULL;
CREATE INDEX events_conversation ON events (conversation, id) WHERE conversation IS NOT NULL;
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
