-- Times are nanoseconds since 1970 in UTC.

CREATE TABLE documents (
  source      TEXT NOT NULL PRIMARY KEY,
  revision    INTEGER NOT NULL,
  digest      TEXT NOT NULL,
  payload     BLOB NOT NULL,
  accepted_at INTEGER NOT NULL,
  checksum    TEXT NOT NULL  -- over all of the above: SQLite itself does not notice a flipped bit in a value
) STRICT;

CREATE TABLE container_history (
  workload         TEXT NOT NULL,
  container        TEXT NOT NULL,
  spec_hash        TEXT NOT NULL,
  restarts         INTEGER NOT NULL,
  last_exit_code   INTEGER,
  last_reason      TEXT NOT NULL,
  last_started_at  INTEGER NOT NULL,
  last_finished_at INTEGER NOT NULL,
  PRIMARY KEY (workload, container)
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
  number    INTEGER NOT NULL PRIMARY KEY,
  at        INTEGER NOT NULL,
  workload  TEXT NOT NULL,
  container TEXT NOT NULL,
  type      TEXT NOT NULL,
  reason    TEXT NOT NULL,
  message   TEXT NOT NULL,
  revision  INTEGER NOT NULL
) STRICT;
