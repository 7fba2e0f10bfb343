DELETE FROM cron_jobs WHERE name = ?1;
