-- Runs of Jobs, and what CronJobs have seen to: counted exactly, so every change is synced.
-- Times are nanoseconds since 1970 in UTC, lasted and clock nanoseconds.

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
