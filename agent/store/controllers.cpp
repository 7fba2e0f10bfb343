#include "agent/store/controllers.h"

#include "sql.h"

namespace wherry::store {
namespace {

Status put_job(sqlite::Database& database, const JobRecord& job) {
  Result<sqlite::Statement> put = database.prepare(sql::put_job);
  if (!put) return fail(put.error());
  return put
      ->bind(job.name, job.cron_job, job.source, job.run, job.template_hash, job.scheduled_at,
             job.phase, job.reason, job.message, job.started_at, job.finished_at, job.succeeded,
             job.attempts, job.failed, job.boot, job.clock, job.lasted,
             static_cast<int64_t>(job.suspended))
      .run();
}

Status put_cron_job(sqlite::Database& database, const CronRecord& cron) {
  Result<sqlite::Statement> put = database.prepare(sql::put_cron_job);
  if (!put) return fail(put.error());
  return put->bind(cron.name, cron.source, cron.schedule, cron.seen, cron.started).run();
}

Status remove_by_name(sqlite::Database& database, std::string_view statement,
                      const std::string& name) {
  Result<sqlite::Statement> remove = database.prepare(statement);
  if (!remove) return fail(remove.error());
  return remove->bind(name).run();
}

}  // namespace

Status put_controllers(sqlite::Database& database, const ControllerChanges& changes) {
  Status done;
  for (const std::string& name : changes.gone_jobs) {
    if (done) done = remove_by_name(database, sql::remove_job, name);
  }
  for (const std::string& name : changes.gone_cron_jobs) {
    if (done) done = remove_by_name(database, sql::remove_cron_job, name);
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
  Result<sqlite::Statement> list = database.prepare(sql::list_jobs);
  if (!list) return fail(list.error());
  std::vector<JobRecord> all;
  while (true) {
    const Result<bool> more = list->step();
    if (!more) return fail(more.error());
    if (!*more) return all;
    JobRecord job;
    job.name = list->text(0);
    job.cron_job = list->text(1);
    job.source = list->text(2);
    job.run = list->text(3);
    job.template_hash = list->text(4);
    job.scheduled_at = list->time(5);
    job.phase = list->text(6);
    job.reason = list->text(7);
    job.message = list->text(8);
    job.started_at = list->time(9);
    job.finished_at = list->time(10);
    job.succeeded = list->text(11);
    job.attempts = list->text(12);
    job.failed = static_cast<uint32_t>(list->integer(13));
    job.boot = list->text(14);
    job.clock = list->integer(15);
    job.lasted = list->integer(16);
    job.suspended = list->integer(17) != 0;
    all.push_back(std::move(job));
  }
}

Result<std::vector<CronRecord>> list_cron_jobs(sqlite::Database& database) {
  Result<sqlite::Statement> list = database.prepare(sql::list_cron_jobs);
  if (!list) return fail(list.error());
  std::vector<CronRecord> all;
  while (true) {
    const Result<bool> more = list->step();
    if (!more) return fail(more.error());
    if (!*more) return all;
    all.push_back({list->text(0), list->text(1), list->text(2), list->text(3), list->time(4)});
  }
}

}  // namespace wherry::store
