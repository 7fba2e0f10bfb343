-- A cache: what a power cut takes of it can be had again, so nothing is synced on its way in.
PRAGMA auto_vacuum = INCREMENTAL;
PRAGMA locking_mode = EXCLUSIVE;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
PRAGMA trusted_schema = OFF;
PRAGMA cell_size_check = ON;
PRAGMA temp_store = MEMORY;
PRAGMA mmap_size = 0;
PRAGMA cache_size = -128;
PRAGMA wal_autocheckpoint = 512;
PRAGMA journal_size_limit = 2097152;
