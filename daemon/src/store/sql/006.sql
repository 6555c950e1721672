-- Schema 6.

-- Resets: what becomes of what is here where the remote has another history, until its listing is whole (JSON; NULL: none is under way);
-- and the reset that a run was of (JSON how, why, copy). While one is under way, m_link.agreed may stand where the base is unknown: what the
-- remote had in the history that is over.
ALTER TABLE m_sync ADD COLUMN reset TEXT;
ALTER TABLE m_run ADD COLUMN reset TEXT;
