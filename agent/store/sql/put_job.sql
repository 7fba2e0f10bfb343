INSERT OR REPLACE INTO jobs (name, cron_job, source, run, template_hash, scheduled_at, phase, reason, message, started_at, finished_at, succeeded, attempts, failed, boot, clock, lasted, suspended)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18);
