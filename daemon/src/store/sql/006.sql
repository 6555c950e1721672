-- Schema 6.

-- Filters of apps' own copies. A filter is a JSON list of [property, operator, value], all of which must hold; NULL: everything.
ALTER TABLE m_copy ADD COLUMN filter TEXT;  -- what is to be in the copy
ALTER TABLE m_copy ADD COLUMN stood  TEXT;  -- the filter under which all records up to `scanned` were looked at; another one: from the first on
-- Of a copy's link m_link.missing is 1 where the app was told that the record leaves, and has not said what it did with that.
