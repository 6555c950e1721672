-- Schema 4: changes that are marked not for upload, filters of syncs.

-- A record whose changes stay here until somebody marks it for upload.
CREATE TABLE m_deferred (
    record     INTEGER PRIMARY KEY REFERENCES m_record ON DELETE CASCADE,
    app        TEXT    NOT NULL,            -- who marked it last
    at         INTEGER NOT NULL             -- ms
) STRICT;

-- The filter under which the listing of a sync stands, as it is written; NULL: none. Under another one everything is listed anew.
ALTER TABLE m_sync ADD COLUMN filter TEXT;
