-- The truth, schema 1. Tables begin with m_; what apps may read are the views that `views.rs` publishes.
-- Record tables are rowid tables with a unique index: with random ids that is several times faster than WITHOUT ROWID.

-- One row: which store this is and how far it has come.
CREATE TABLE m_store (
    store      INTEGER PRIMARY KEY CHECK (store = 1),
    instance   TEXT    NOT NULL,            -- a new id for a new, restored or rebuilt store
    seq        INTEGER NOT NULL,            -- the highest seq ever given
    horizon    INTEGER NOT NULL,            -- the highest purged seq
    ledger_horizon INTEGER NOT NULL,        -- the highest seq whose ledger row was purged
    ledger_looked  INTEGER NOT NULL,        -- up to which seq the last purge looked at the ledger
    clean      INTEGER NOT NULL,            -- 1: closed in good order
    durable    INTEGER NOT NULL,            -- 1: every commit since the start was synced to the disk (FULL)
    stopped    TEXT                         -- a stop that holds: {"since": ms, "by": app}
) STRICT;

CREATE TABLE m_collection (
    collection INTEGER PRIMARY KEY,
    name       TEXT    NOT NULL UNIQUE,
    definition TEXT    NOT NULL             -- as configured, JSON
) STRICT;

CREATE TABLE m_record (
    record     INTEGER PRIMARY KEY,
    collection INTEGER NOT NULL REFERENCES m_collection,
    id         TEXT    NOT NULL,            -- what apps see; never changes
    data       TEXT,                        -- JSON object; NULL once deleted or forgotten
    first      INTEGER NOT NULL,            -- the seq that made it, the first time: who read before it cannot have had it
    created    INTEGER NOT NULL,            -- the seq that made it (or brought it back)
    seq        INTEGER NOT NULL,            -- the seq of its last change: the change feed
    state      INTEGER NOT NULL             -- 0 live, 1 deleted, 2 forgotten
) STRICT;
CREATE UNIQUE INDEX m_record_id  ON m_record (collection, id);
CREATE UNIQUE INDEX m_record_seq ON m_record (seq);
CREATE INDEX m_record_feed ON m_record (collection, seq);

-- A remote with its resource, as one account at one address. Another url or account is another replica.
CREATE TABLE m_replica (
    replica    INTEGER PRIMARY KEY,
    remote     TEXT    NOT NULL,            -- its name in the configuration
    identity   TEXT    NOT NULL UNIQUE      -- what makes it this one: remote, url, account, resource, collection
) STRICT;

-- One record at one replica.
CREATE TABLE m_link (
    link       INTEGER PRIMARY KEY,
    replica    INTEGER NOT NULL REFERENCES m_replica,
    record     INTEGER NOT NULL REFERENCES m_record,
    remote_id  TEXT,                        -- NULL: not known (open create), or gone
    revision   TEXT,                        -- the last one seen or made
    left_revs  TEXT,                        -- JSON list, newest last: the last 8 revisions this link has left
    modified   INTEGER,                     -- the newest stamp seen, ms
    base       INTEGER NOT NULL,            -- 0 same, 1 own, 2 gone, 3 unknown
    agreed     TEXT,                        -- JSON object; only where base is own
    sent       TEXT,                        -- JSON list of requests whose answers are not settled; NULL: none
    confirmed  INTEGER NOT NULL,            -- the highest seq whose state the replica took or was found to equal
    born       INTEGER NOT NULL,            -- the pass in which it was made
    seen       INTEGER NOT NULL,            -- the last pass (of any sync) that showed it
    missing    INTEGER NOT NULL             -- complete passes since that did not
) STRICT;
CREATE UNIQUE INDEX m_link_record ON m_link (replica, record);
CREATE UNIQUE INDEX m_link_remote ON m_link (replica, remote_id) WHERE remote_id IS NOT NULL;
CREATE INDEX m_link_of ON m_link (record);
-- Candidates for an upload: the comparison decides.
CREATE INDEX m_link_behind ON m_link (replica) WHERE base <> 0 OR sent IS NOT NULL;

-- Remote ids a link had once: a row under one of them belongs to that link and never makes a record.
CREATE TABLE m_former (
    replica    INTEGER NOT NULL,
    remote_id  TEXT    NOT NULL,
    link       INTEGER NOT NULL REFERENCES m_link ON DELETE CASCADE
) STRICT;
CREATE UNIQUE INDEX m_former_id ON m_former (replica, remote_id);

CREATE TABLE m_sync (
    sync       INTEGER PRIMARY KEY,
    name       TEXT    NOT NULL UNIQUE,
    replica    INTEGER REFERENCES m_replica,
    epoch      TEXT,                        -- of the checkpoint
    watermark  TEXT,                        -- JSON; what the next run starts from; NULL: from the start
    resume     TEXT,                        -- JSON; where a run that was stopped goes on; NULL: nowhere
    complete   TEXT,                        -- the epoch in which a complete down was done
    pass       INTEGER NOT NULL,            -- number of the present or last complete pass
    up_scanned INTEGER NOT NULL,            -- records up to this seq have their links for this sync
    paused     TEXT                         -- {"since": ms, "by": app, "ended": [sync] if it ended a run}
) STRICT;

CREATE TABLE m_run (
    run        INTEGER PRIMARY KEY,
    id         TEXT    NOT NULL UNIQUE,     -- r-...
    sync       TEXT    NOT NULL,
    status     TEXT    NOT NULL,
    result     TEXT,
    mode       TEXT    NOT NULL,
    trigger    TEXT    NOT NULL,
    stop_reason TEXT,
    started    INTEGER NOT NULL,            -- ms
    ended      INTEGER,
    down       INTEGER NOT NULL DEFAULT 0,
    up         INTEGER NOT NULL DEFAULT 0,
    rejected   INTEGER NOT NULL DEFAULT 0,
    conflicts  INTEGER NOT NULL DEFAULT 0,
    bytes      INTEGER NOT NULL DEFAULT 0,
    error      TEXT                         -- JSON {name, what, hint}
) STRICT;
CREATE INDEX m_run_sync ON m_run (sync, run);
CREATE INDEX m_run_open ON m_run (run) WHERE ended IS NULL;

CREATE TABLE m_conflict (
    conflict   INTEGER PRIMARY KEY,
    id         TEXT    NOT NULL UNIQUE,     -- c-...
    record     INTEGER NOT NULL REFERENCES m_record,
    link       INTEGER,                     -- the link it froze or freezes
    replica    TEXT    NOT NULL,            -- the remote's name, for people
    property   TEXT,                        -- NULL: the record as a whole
    agreed     TEXT,                        -- JSON values; NULL: absent
    truth      TEXT,
    theirs     TEXT,
    verdict    TEXT    NOT NULL,            -- truth, remote, open, kept_edit, kept_delete; after a decision: resolved
    open       INTEGER NOT NULL,
    loser_seq  INTEGER,                     -- the write that lost, where it was the truth's
    seq        INTEGER NOT NULL,            -- the record's seq after the meeting
    at         INTEGER NOT NULL
) STRICT;
CREATE INDEX m_conflict_record ON m_conflict (record);
CREATE INDEX m_conflict_open   ON m_conflict (link) WHERE open = 1;

CREATE TABLE m_rejection (
    rejection  INTEGER PRIMARY KEY,
    id         TEXT    NOT NULL UNIQUE,     -- j-...
    sync       TEXT    NOT NULL,
    replica    INTEGER NOT NULL,
    side       TEXT    NOT NULL,            -- up, down, create, delete
    link       INTEGER,                     -- NULL: a row that made no record
    record     INTEGER,
    remote_id  TEXT,
    revision   TEXT,                        -- down: the revision that could not be applied
    action     TEXT    NOT NULL,            -- create, update, delete, apply
    what       TEXT    NOT NULL,            -- the remote's words, or ours
    refused    TEXT,                        -- up: the carried values that were refused, JSON
    at         INTEGER NOT NULL,
    tries      INTEGER NOT NULL,
    verdict    TEXT                         -- NULL: it stands; retry: once more now; drop: stays unsent until a side changes
) STRICT;
CREATE UNIQUE INDEX m_rejection_link   ON m_rejection (link) WHERE link IS NOT NULL;
CREATE UNIQUE INDEX m_rejection_remote ON m_rejection (replica, remote_id) WHERE link IS NULL;

-- Append-only history of changes: what `why`, `undo` and `newest` read.
CREATE TABLE m_ledger (
    seq        INTEGER PRIMARY KEY,
    record     INTEGER NOT NULL,
    origin     TEXT    NOT NULL,            -- app:NAME, sync:NAME
    at         INTEGER NOT NULL,            -- ms
    before     TEXT                         -- JSON: changed properties, each with a list of its old value ([]: was absent); NULL: there was no record
) STRICT;
CREATE INDEX m_ledger_record ON m_ledger (record, seq);

-- Operation ids, with a hash of the request and the answer it got.
CREATE TABLE m_op (
    app        TEXT    NOT NULL,
    op         TEXT    NOT NULL,
    hash       BLOB    NOT NULL,
    answer     TEXT    NOT NULL,
    at         INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX m_op_id ON m_op (app, op);
CREATE INDEX m_op_at ON m_op (at);

CREATE TABLE m_app (
    app        TEXT PRIMARY KEY,
    seen       INTEGER NOT NULL
) STRICT;
