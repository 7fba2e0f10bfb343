-- The schema that all migrations together must give; a test compares. Nothing runs this file.

CREATE TABLE documents (
  number      INTEGER NOT NULL PRIMARY KEY,
  source      TEXT NOT NULL,
  revision    INTEGER NOT NULL,
  digest      TEXT NOT NULL,
  payload     BLOB NOT NULL,
  accepted_at INTEGER NOT NULL,
  checksum    TEXT NOT NULL
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

CREATE TABLE image_use (
  workload  TEXT NOT NULL,
  digest    TEXT NOT NULL,
  name      TEXT NOT NULL,
  spec_hash TEXT NOT NULL,
  use_order INTEGER NOT NULL,
  used_at   INTEGER NOT NULL,
  PRIMARY KEY (workload, digest)
) STRICT, WITHOUT ROWID;

CREATE TABLE jobs (
  name          TEXT NOT NULL PRIMARY KEY,
  cron_job      TEXT NOT NULL,
  source        TEXT NOT NULL,
  run           TEXT NOT NULL,
  template_hash TEXT NOT NULL,
  scheduled_at  INTEGER NOT NULL,
  phase         TEXT NOT NULL,
  reason        TEXT NOT NULL,
  message       TEXT NOT NULL,
  started_at    INTEGER NOT NULL,
  finished_at   INTEGER NOT NULL,
  succeeded     TEXT NOT NULL,
  attempts      TEXT NOT NULL,
  failed        INTEGER NOT NULL,
  boot          TEXT NOT NULL,
  clock         INTEGER NOT NULL,
  lasted        INTEGER NOT NULL,
  suspended     INTEGER NOT NULL
) STRICT;

CREATE TABLE cron_jobs (
  name     TEXT NOT NULL PRIMARY KEY,
  source   TEXT NOT NULL,
  schedule TEXT NOT NULL,
  seen     TEXT NOT NULL,
  started  INTEGER NOT NULL
) STRICT;

CREATE TABLE commands (
  number         INTEGER NOT NULL PRIMARY KEY,
  source         TEXT NOT NULL,
  request        TEXT NOT NULL UNIQUE,
  received_at    INTEGER NOT NULL,
  asked_on       TEXT NOT NULL,
  response_topic TEXT NOT NULL,
  correlation    BLOB NOT NULL,
  answer         TEXT NOT NULL,
  delivered      INTEGER NOT NULL
) STRICT;

CREATE TABLE workload_orders (
  workload   TEXT NOT NULL PRIMARY KEY,
  kind       TEXT NOT NULL,
  given_by   TEXT NOT NULL,
  ordered_at INTEGER NOT NULL
) STRICT;

CREATE TABLE same_images (
  workload    TEXT NOT NULL PRIMARY KEY,
  wanted_hash TEXT NOT NULL,
  pod_hash    TEXT NOT NULL
) STRICT;
