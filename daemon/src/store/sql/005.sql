-- Schema 5: what is told of an app's copies: since when they are known, and their last session.

ALTER TABLE m_copy ADD COLUMN since INTEGER;  -- when it became known, ms; NULL: before that was written down
ALTER TABLE m_copy ADD COLUMN mode  TEXT;     -- of its last session; NULL: it had none, or before that was written down
ALTER TABLE m_copy ADD COLUMN ended TEXT;     -- how that ended: finished, cancelled, left; NULL: it is open, or not known
