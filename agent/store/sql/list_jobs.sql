SELECT name, cron_job, source, run, template_hash, scheduled_at, phase, reason, message, started_at, finished_at, succeeded, attempts, failed, boot, clock, lasted, suspended FROM jobs ORDER BY name;
