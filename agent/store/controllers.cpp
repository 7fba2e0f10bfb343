#include "agent/store/controllers.h"

#include "agent/store/rows.h"
#include "sql.h"

namespace wherry::store {
namespace {

Status put_job(sqlite::Database& database, const JobRecord& job) {
  return change(database, sql::put_job, job.name, job.cron_job, job.source, job.run,
                job.template_hash, job.scheduled_at, job.phase, job.reason, job.message,
                job.started_at, job.finished_at, job.succeeded, job.attempts, job.failed, job.boot,
                job.clock, job.lasted, static_cast<int64_t>(job.suspended));
}

Status put_cron_job(sqlite::Database& database, const CronRecord& cron) {
  return change(database, sql::put_cron_job, cron.name, cron.source, cron.schedule, cron.seen,
                cron.started);
}

JobRecord read_job(const sqlite::Statement& row) {
  JobRecord job;
  job.name = row.text(0);
  job.cron_job = row.text(1);
  job.source = row.text(2);
  job.run = row.text(3);
  job.template_hash = row.text(4);
  job.scheduled_at = row.time(5);
  job.phase = row.text(6);
  job.reason = row.text(7);
  job.message = row.text(8);
  job.started_at = row.time(9);
  job.finished_at = row.time(10);
  job.succeeded = row.text(11);
  job.attempts = row.text(12);
  job.failed = static_cast<uint32_t>(row.integer(13));
  job.boot = row.text(14);
  job.clock = row.integer(15);
  job.lasted = row.integer(16);
  job.suspended = row.integer(17) != 0;
  return job;
}

}  // namespace

Status put_controllers(sqlite::Database& database, const ControllerChanges& changes) {
  Status done;
  for (const std::string& name : changes.gone_jobs) {
    if (done) done = change(database, sql::remove_job, name);
  }
  for (const std::string& name : changes.gone_cron_jobs) {
    if (done) done = change(database, sql::remove_cron_job, name);
  }
  for (const JobRecord& job : changes.jobs) {
    if (done) done = put_job(database, job);
  }
  for (const CronRecord& cron : changes.cron_jobs) {
    if (done) done = put_cron_job(database, cron);
  }
  return done;
}

Result<std::vector<JobRecord>> list_jobs(sqlite::Database& database) {
  return all_rows(database, sql::list_jobs, read_job);
}

Result<std::vector<CronRecord>> list_cron_jobs(sqlite::Database& database) {
  return all_rows(database, sql::list_cron_jobs, [](const sqlite::Statement& row) {
    return CronRecord{row.text(0), row.text(1), row.text(2), row.text(3), row.time(4)};
  });
}

}  // namespace wherry::store
