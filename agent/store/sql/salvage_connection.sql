-- For reading a damaged file as it is: no shared memory beside it, nothing in it trusted.
PRAGMA locking_mode = EXCLUSIVE;
PRAGMA trusted_schema = OFF;
PRAGMA cell_size_check = ON;
PRAGMA mmap_size = 0;
PRAGMA cache_size = -128;
PRAGMA query_only = ON;
