-- Schema 6: which records a sync makes at its replica.

-- 'never', 'unlinked', 'all', as it was when the sync last ran. Where it is another now, all records are looked at anew.
ALTER TABLE m_sync ADD COLUMN creates TEXT NOT NULL DEFAULT 'unlinked';
