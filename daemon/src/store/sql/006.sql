-- Schema 6: which records a sync makes at its replica, and what a replica writes its own way.

-- 'never', 'unlinked', 'all', as it was when the sync last ran. Where it is another now, all records are looked at anew.
ALTER TABLE m_sync ADD COLUMN creates TEXT NOT NULL DEFAULT 'unlinked';

-- Properties that the replica writes its own way though our value came from another, as JSON: name: [[ours], [theirs]], each empty where
-- it is absent. The two count as equal until either moves; all else of a link is in our forms. NULL: there are none.
ALTER TABLE m_link ADD COLUMN pairs TEXT;
