-- Schema 2: a write touches fewer pages.

-- The highest seq ever given is the ledger's last one, or the horizon: no row that every commit writes.
UPDATE m_store SET horizon = seq WHERE seq > max(horizon, coalesce((SELECT max(seq) FROM m_ledger), 0));
ALTER TABLE m_store DROP COLUMN seq;

-- A seq is given once, so that the feed's index is unique by itself.
DROP INDEX m_record_seq;
DROP INDEX m_record_feed;
CREATE UNIQUE INDEX m_record_feed ON m_record (collection, seq);

-- Answers of ops lie in the order in which they were given, and are purged in it. The op comes first in their index: those of one
-- moment lie together, whatever app they are of.
DROP INDEX m_op_at;
DROP INDEX m_op_id;
CREATE UNIQUE INDEX m_op_id ON m_op (op, app);
