-- Schema 5: what is told of an app's copies: since when they are known, and their last session; copies that are forgotten.

ALTER TABLE m_copy ADD COLUMN since INTEGER;  -- when it became known, ms; NULL: before that was written down
ALTER TABLE m_copy ADD COLUMN mode  TEXT;     -- of its last session; NULL: it had none, or before that was written down
ALTER TABLE m_copy ADD COLUMN ended TEXT;     -- how that ended: finished, cancelled, left; NULL: it is open, or not known

-- The place of a copy that was forgotten has the identity 'forgotten:' and its number, until it is given again. Its links go little by
-- little; m_conflict.link is 0 where they went, for that is no conflict of a write that merged. The links of remotes are not in this index.
CREATE INDEX m_link_copies ON m_link (replica) WHERE replica < 0;
-- With a link go the ids that it had once.
CREATE INDEX m_former_link ON m_former (link);
