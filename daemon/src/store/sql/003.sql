-- Schema 3: apps that keep their own copy, horizons of each collection, fewer indexes.

-- What one collection throws away is not missing in the others.
ALTER TABLE m_collection ADD COLUMN horizon INTEGER NOT NULL DEFAULT 0;         -- the highest purged seq of its records
ALTER TABLE m_collection ADD COLUMN ledger_horizon INTEGER NOT NULL DEFAULT 0;  -- the highest seq whose ledger row was purged
UPDATE m_collection SET horizon = (SELECT horizon FROM m_store), ledger_horizon = (SELECT ledger_horizon FROM m_store);
ALTER TABLE m_store DROP COLUMN ledger_horizon;

-- Apps' replicas have numbers below 0, so that no question about remotes meets them.

-- One collection as one app keeps it.
CREATE TABLE m_copy (
    replica    INTEGER PRIMARY KEY REFERENCES m_replica,
    app        TEXT    NOT NULL,
    collection INTEGER NOT NULL REFERENCES m_collection,
    anchor     TEXT,                        -- the last one given; NULL: none holds, the next session is no fast one
    instance   TEXT    NOT NULL,            -- of the store that gave it
    scanned    INTEGER NOT NULL,            -- records up to this seq have their links for this app
    pass       INTEGER NOT NULL,            -- number of the present or last session
    used       INTEGER NOT NULL,            -- when its last session began, ms
    owed       INTEGER NOT NULL             -- 1: the truth is to take the place of what the app has, and has not yet
) STRICT;
CREATE UNIQUE INDEX m_copy_of ON m_copy (app, collection);

-- Sessions that are open: an app has one.
CREATE TABLE m_session (
    session    INTEGER PRIMARY KEY,
    id         TEXT    NOT NULL UNIQUE,     -- s-...
    app        TEXT    NOT NULL UNIQUE,
    connection INTEGER NOT NULL,            -- with which it ends; of this process
    state      TEXT    NOT NULL,            -- negotiating, pushing, mingling, pulling
    mode       TEXT    NOT NULL,
    replicas   TEXT    NOT NULL,            -- JSON list: its collections' places, in the app's order
    ends       INTEGER NOT NULL DEFAULT 0,  -- after mingling: 0 goes on, 1 finished, 2 cancelled
    changed    INTEGER NOT NULL DEFAULT 0,
    conflicts  INTEGER NOT NULL DEFAULT 0,
    deleted    INTEGER NOT NULL DEFAULT 0
) STRICT;

-- What an app pushed and has not met the truth yet: the last state of each record.
CREATE TABLE m_push (
    push       INTEGER PRIMARY KEY,
    session    INTEGER NOT NULL REFERENCES m_session ON DELETE CASCADE,
    replica    INTEGER NOT NULL,
    id         TEXT    NOT NULL,            -- the app's
    what       TEXT    NOT NULL,            -- put, delete, lost, given_up
    data       TEXT                         -- JSON object; only of a put
) STRICT;
CREATE UNIQUE INDEX m_push_id ON m_push (session, replica, id);

-- What an app took of what it was shown, until it commits.
CREATE TABLE m_take (
    take       INTEGER PRIMARY KEY,
    session    INTEGER NOT NULL REFERENCES m_session ON DELETE CASCADE,
    replica    INTEGER NOT NULL,
    link       INTEGER NOT NULL,
    what       TEXT    NOT NULL,            -- accept, refuse, lost, given_up
    seq        INTEGER NOT NULL,            -- the state that was shown
    id         TEXT,                        -- the app's from now on
    form       TEXT                         -- JSON object: what the app made of it; NULL: just that
) STRICT;
CREATE UNIQUE INDEX m_take_link ON m_take (session, link);
CREATE INDEX m_take_id ON m_take (session, replica, id);

-- What is thrown away one day is found without a look at all that is there.
CREATE INDEX m_record_gone ON m_record (seq) WHERE state <> 0;

-- One index for both questions: all links of a record, and the one at a replica.
DROP INDEX m_link_of;
DROP INDEX m_link_record;
CREATE UNIQUE INDEX m_link_record ON m_link (record, replica);
