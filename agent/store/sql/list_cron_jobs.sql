SELECT name, source, schedule, seen, started FROM cron_jobs ORDER BY name;
