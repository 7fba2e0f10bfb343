-- What every connection is set to; the reasons are in docs/decisions/0018-outbox.md.
-- locking_mode comes before anything is read: the log's index is then in memory, and not in a file
-- that has to be made, which a full disk does not allow.
PRAGMA locking_mode = EXCLUSIVE;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA foreign_keys = ON;
PRAGMA trusted_schema = OFF;
PRAGMA cell_size_check = ON;
PRAGMA temp_store = MEMORY;
PRAGMA mmap_size = 0;
-- Debian builds SQLite so that each removed page is overwritten, which doubles what is written.
PRAGMA secure_delete = FAST;
PRAGMA cache_size = -256;
PRAGMA journal_size_limit = 4194304;
