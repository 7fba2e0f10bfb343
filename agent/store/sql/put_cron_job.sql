INSERT OR REPLACE INTO cron_jobs (name, source, schedule, seen, started)
VALUES (?1, ?2, ?3, ?4, ?5);
