-- Comes before all else, as it can only be chosen for a database that is still empty. Not for one
-- that is not: it would be written each time, which a full disk does not allow.
PRAGMA auto_vacuum = INCREMENTAL;
