-- Schema 6: which records a sync makes at its replica, what a replica writes its own way, filters of apps' own copies, and resets.

-- 'never', 'unlinked', 'all', as it was when the sync last ran. Where it is another now, all records are looked at anew.
ALTER TABLE m_sync ADD COLUMN creates TEXT NOT NULL DEFAULT 'unlinked';

-- Properties that the replica writes its own way though our value came from another, as JSON: name: [[ours], [theirs]], each empty where
-- it is absent. The two count as equal until either moves; all else of a link is in our forms. NULL: there are none.
ALTER TABLE m_link ADD COLUMN pairs TEXT;

-- Filters of apps' own copies. A filter is a JSON list of [property, operator, value], all of which must hold; NULL: everything.
ALTER TABLE m_copy ADD COLUMN filter TEXT;  -- what is to be in the copy
ALTER TABLE m_copy ADD COLUMN stood  TEXT;  -- the filter under which all records up to `scanned` were looked at; another one: from the first on
-- Of a copy's link m_link.missing is 1 where the app was told that the record leaves, and has not said what it did with that.

-- Resets: what becomes of what is here where the remote has another history, until its listing is whole (JSON; NULL: none is under way);
-- and the reset that a run was of (JSON how, why, copy). While one is under way, m_link.agreed may stand where the base is unknown: what the
-- remote had in the history that is over.
ALTER TABLE m_sync ADD COLUMN reset TEXT;
ALTER TABLE m_run ADD COLUMN reset TEXT;

-- Records that proved to be another one, which is older and stays: whoever has the id of the former means the latter. The former's own
-- row stays as that of a record that left.
CREATE TABLE m_alias (
    alias      INTEGER PRIMARY KEY REFERENCES m_record ON DELETE CASCADE,
    record     INTEGER NOT NULL REFERENCES m_record ON DELETE CASCADE,  -- what it is now: never itself an alias
    seq        INTEGER NOT NULL             -- the change of that record by which it took this one over
) STRICT;
CREATE INDEX m_alias_of ON m_alias (record);

-- The schedule: since when a sync is defined, ms, which its initial delay counts from; NULL: it has none.
ALTER TABLE m_sync ADD COLUMN since INTEGER;
-- Syncs that apps defined; those of the configuration are not here.
CREATE TABLE m_defined (
    sync       TEXT    PRIMARY KEY,
    definition TEXT    NOT NULL,            -- the keys of a [sync.NAME] and their values, as a JSON object
    app        TEXT    NOT NULL,            -- the last that defined it
    generation INTEGER NOT NULL,            -- how often it was defined
    at         INTEGER NOT NULL             -- when last, ms
) STRICT;

-- Budgets of accounts at services: what is left of the requests that each may make, as the last answers told. What does not read is not known.
CREATE TABLE m_budget (
    account TEXT    PRIMARY KEY,            -- a mark of the host, and of where the login comes from
    known   TEXT    NOT NULL,               -- as a JSON object
    at      INTEGER NOT NULL                -- when that was written, ms
) STRICT;
-- The schedule: what is written down of when a sync runs, beside its definition and its runs.
CREATE TABLE m_schedule (
    sync       TEXT    PRIMARY KEY,
    next       INTEGER,                     -- its next run is at this moment, ms; NULL: when its schedule says
    pinged     INTEGER,                     -- there is something new at its remote since then, ms; NULL once a run has begun since
    anew       INTEGER                      -- its schedule began anew after this run: those up to it say nothing of it; NULL: it never did
) STRICT;
ALTER TABLE m_run ADD COLUMN attempt INTEGER;   -- the how manyth since the last that did not fail; NULL: not written down
ALTER TABLE m_run ADD COLUMN waited INTEGER;    -- how long its sync was due and held before, ms; NULL: it was not
ALTER TABLE m_run ADD COLUMN waited_for TEXT;   -- by what at first: the name of a hold
-- What was shown on the desktop: once while it stands, and at most once a day.
CREATE TABLE m_shown (
    name       TEXT    NOT NULL,            -- of the matter, as attention has it
    about      TEXT    NOT NULL,            -- and what it is about
    at         INTEGER NOT NULL,            -- when last, ms
    PRIMARY KEY (name, about)
) STRICT;
-- What a run asked of its remote, beside m_run.bytes, which is what was sent and received together; NULL: not written down.
ALTER TABLE m_run ADD COLUMN bytes_up INTEGER;  -- of these, sent
ALTER TABLE m_run ADD COLUMN requests INTEGER;  -- requests that left
ALTER TABLE m_run ADD COLUMN not_modified INTEGER;  -- of these, those that were answered with "nothing has changed"
-- Everything that was at the remote then has come, ms, under the filter and the history of this row: when the last listing began that came to
-- its end in a run which ended well; NULL: not known.
ALTER TABLE m_sync ADD COLUMN fresh INTEGER;
ALTER TABLE m_run ADD COLUMN wishes TEXT;   -- in which mode it was wished to look for changes, till its listing is whole; NULL: in none in particular
-- Answers of services, each with what shows whether it still holds (an ETag): of each sync a few small ones, of its last listing that came to
-- its end. They cost the service little when the same is asked again, also by another process. What is lost of them is asked in full.
CREATE TABLE m_answer (
    answer     INTEGER PRIMARY KEY,
    sync       TEXT    NOT NULL,
    name       BLOB    NOT NULL,            -- a mark of what was asked, and as whom, under a key that is not in here
    validator  TEXT    NOT NULL,
    head       TEXT    NOT NULL,            -- headers, a line each
    body       BLOB    NOT NULL,
    at         INTEGER NOT NULL             -- when it came, ms
) STRICT;
CREATE UNIQUE INDEX m_answer_name ON m_answer (sync, name);
