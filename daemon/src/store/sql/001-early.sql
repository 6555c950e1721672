-- A store of schema 1 as it was before that was released (until 2026-11-25), into schema 1 as it is in 001.sql: the purge of the
-- ledger remembers how far it looked, and a sync keeps no facts that nobody wrote.
CREATE TABLE new_store (
    store      INTEGER PRIMARY KEY CHECK (store = 1),
    instance   TEXT    NOT NULL,
    seq        INTEGER NOT NULL,
    horizon    INTEGER NOT NULL,
    ledger_horizon INTEGER NOT NULL,
    ledger_looked  INTEGER NOT NULL,
    clean      INTEGER NOT NULL,
    durable    INTEGER NOT NULL,
    stopped    TEXT
) STRICT;
INSERT INTO new_store (store, instance, seq, horizon, ledger_horizon, ledger_looked, clean, durable, stopped)
    SELECT store, instance, seq, horizon, ledger_horizon, 0, clean, durable, stopped FROM m_store;
DROP TABLE m_store;
ALTER TABLE new_store RENAME TO m_store;

CREATE TABLE new_sync (
    sync       INTEGER PRIMARY KEY,
    name       TEXT    NOT NULL UNIQUE,
    replica    INTEGER REFERENCES m_replica,
    epoch      TEXT,
    watermark  TEXT,
    resume     TEXT,
    complete   TEXT,
    pass       INTEGER NOT NULL,
    up_scanned INTEGER NOT NULL,
    paused     TEXT
) STRICT;
INSERT INTO new_sync (sync, name, replica, epoch, watermark, resume, complete, pass, up_scanned, paused)
    SELECT sync, name, replica, epoch, watermark, resume, complete, pass, up_scanned, paused FROM m_sync;
DROP TABLE m_sync;
ALTER TABLE new_sync RENAME TO m_sync;
