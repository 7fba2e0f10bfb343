#include "agent/store/store.h"

#include <algorithm>
#include <limits>
#include <mutex>
#include <utility>

#include "agent/store/commands.h"
#include "agent/store/controllers.h"
#include "agent/store/documents.h"
#include "agent/store/events.h"
#include "agent/store/image_uses.h"
#include "agent/store/repair.h"
#include "agent/store/rows.h"
#include "agent/store/same_images.h"
#include "agent/store/schema.h"
#include "base/digest.h"
#include "base/failpoint.h"
#include "base/sqlite/sqlite.h"
#include "sql.h"

namespace wherry {

namespace sql = store::sql;

namespace {

// For one scope, commits are on the disk when they return.
class Synced {
 public:
  static Result<Synced> begin(sqlite::Database& database) {
    const Status set = database.execute(sql::synchronous_full);
    if (!set) return fail(set.error());
    return Synced(database);
  }
  ~Synced() {
    if (database_ == nullptr) return;
    [[maybe_unused]] const Status set = database_->execute(sql::synchronous_normal);
  }
  Synced(Synced&& other) noexcept : database_(std::exchange(other.database_, nullptr)) {}
  Synced& operator=(Synced&&) = delete;

 private:
  explicit Synced(sqlite::Database& database) : database_(&database) {}
  sqlite::Database* database_;
};

Result<sqlite::Database> open_whole(const StoreOptions& options) {
  Result<sqlite::Database> database = store::open_database(options.path, options.busy_timeout);
  if (!database) return database;
  // What SQLite's check of the structure cannot see, the checksums of the documents do.
  const auto documents = store::list_documents(*database);
  Status whole;
  if (!documents) whole = fail(documents.error());
  for (const auto read :
       {sql::list_events, sql::list_history, sql::list_image_uses, sql::list_jobs,
        sql::list_cron_jobs, sql::list_open_commands, sql::list_orders, sql::list_same_images}) {
    if (!whole) break;
    if (const auto fits = database->prepare(read); !fits) whole = fail(fits.error());
  }
  if (whole) return database;
  database->keep_as_is();
  const Error& error = whole.error();
  // A statement of ours that does not fit: a name in the schema is not what was written.
  if (error.code() == Code::InvalidArgument) return fail(Code::DataLoss, error.full());
  return fail(error);
}

}  // namespace

struct Store::Impl {
  Impl(sqlite::Database opened, const StoreOptions& options)
      : database(std::move(opened)),
        max_events(std::max<int64_t>(1, options.max_event_rows)),
        max_commands(std::max<int64_t>(1, options.max_command_rows)) {}

  Status load_numbers(bool unclean);
  // Inside of a transaction; note_events() once that is committed.
  Status put_events(const std::vector<EventRecord>& events);
  void note_events(size_t count);
  Result<bool> has_document(const StoredDocument& document);

  std::mutex mutex;  // one connection, one statement at a time
  sqlite::Database database;
  const int64_t max_events, max_commands;
  int64_t event_count = 0;
  int64_t next_event = 1;
};

Status Store::Impl::load_numbers(bool unclean) {
  Result<sqlite::Statement> count = database.prepare(sql::count_events);
  if (!count) return fail(count.error());
  const Result<bool> row = count->step();
  if (!row) return fail(row.error());
  event_count = count->integer(0);
  next_event = count->integer(1) + 1 + (unclean ? store::kNumbersSkipped : 0);
  return {};
}

Status Store::Impl::put_events(const std::vector<EventRecord>& events) {
  int64_t number = next_event;
  for (EventRecord event : events) {
    event.number = number++;
    const Status put = store::put_event(database, event);
    if (!put) return put;
  }
  const int64_t excess = event_count + static_cast<int64_t>(events.size()) - max_events;
  if (events.empty() || excess <= 0) return {};
  // A twentieth more than needed, so that not every event touches both ends of the table.
  Result<sqlite::Statement> trim = database.prepare(sql::trim_events);
  if (!trim) return fail(trim.error());
  return trim->bind(excess + max_events / 20).run();
}

void Store::Impl::note_events(size_t count) {
  next_event += static_cast<int64_t>(count);
  event_count += static_cast<int64_t>(count);
  if (event_count > max_events) event_count = max_events - max_events / 20;
}

Result<bool> Store::Impl::has_document(const StoredDocument& document) {
  Result<sqlite::Statement> has = database.prepare(sql::has_document);
  if (!has) return fail(has.error());
  return has
      ->bind(document.source, document.revision, document.digest, sqlite::Blob{document.payload})
      .step();
}

Store::Store(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Store::~Store() = default;

Result<Store::Opened> Store::open(const StoreOptions& options) {
  const std::string context = "open " + options.path;
  const Status finished = store::finish_repair(options.path);
  if (!finished) return fail(finished.error(), context);

  Opened opened;
  const bool unclean = sqlite::has_content(options.path + "-wal");
  Result<sqlite::Database> database = open_whole(options);
  if (!database && database.error().code() == Code::DataLoss) {
    opened.damage = database.error().full();
    auto repaired =
        store::repair(options.path, opened.damage, SystemClock().wall(), options.busy_timeout);
    if (!repaired) return fail(repaired.error(), context);
    opened.set_aside = std::move(repaired->set_aside);
    opened.salvaged = std::move(repaired->sources);
    database = open_whole(options);
  }
  if (!database) return fail(database.error(), context);
  auto impl = std::make_unique<Impl>(*std::move(database), options);
  const Status loaded = impl->load_numbers(unclean);
  if (!loaded) return fail(loaded.error(), context);
  impl->database.release_memory();
  opened.store.reset(new Store(std::move(impl)));
  return opened;
}

Status Store::save_document(const StoredDocument& document,
                            const std::vector<EventRecord>& events) {
  const std::string context = "save the document of " + document.source;
  const std::lock_guard lock(impl_->mutex);
  const Result<bool> unchanged = impl_->has_document(document);
  if (!unchanged) return fail(unchanged.error(), context);
  if (*unchanged && events.empty()) return {};
  Status done = failpoint("store.save_document.begin");
  if (!done) return done;

  const Result<Synced> synced = Synced::begin(impl_->database);
  if (!synced) return fail(synced.error(), context);
  Result<sqlite::Transaction> transaction = sqlite::Transaction::begin(impl_->database);
  if (!transaction) return fail(transaction.error(), context);
  if (!*unchanged) done = store::put_document(impl_->database, document);
  if (done) done = impl_->put_events(events);
  if (done) done = failpoint("store.save_document.commit");
  if (done) done = transaction->commit();
  if (!done) return fail(done.error(), context);
  impl_->note_events(events.size());
  impl_->database.release_memory();
  return failpoint("store.save_document.committed");
}

Result<std::vector<StoredDocument>> Store::documents() {
  const std::lock_guard lock(impl_->mutex);
  auto documents = store::list_documents(impl_->database);
  if (!documents) return fail(documents.error(), "read the documents");
  return documents;
}

template <typename Change>
Status Store::synced(const std::string& context, Change change) {
  const std::lock_guard lock(impl_->mutex);
  const Result<Synced> synced = Synced::begin(impl_->database);
  if (!synced) return fail(synced.error(), context);
  Result<sqlite::Transaction> transaction = sqlite::Transaction::begin(impl_->database);
  if (!transaction) return fail(transaction.error(), context);
  Status done = change(impl_->database);
  if (done) done = transaction->commit();
  if (!done) return fail(done.error(), context);
  return {};
}

Status Store::leave_document(const std::string& source) {
  return synced("leave the document of " + source, [&](sqlite::Database& database) -> Status {
    auto documents = store::list_documents(database);
    if (!documents) return fail(documents.error());
    for (StoredDocument& each : *documents) {
      if (each.source != source || each.payload.empty()) continue;
      Status done = store::change(database, sql::remove_document, source);
      each.digest = sha256_digest(each.payload);
      each.payload.clear();
      return done ? store::put_document(database, each) : done;
    }
    return {};
  });
}

Result<std::vector<StoredDocument>> Store::superseded_documents() {
  const std::lock_guard lock(impl_->mutex);
  auto documents = store::list_superseded(impl_->database);
  if (!documents) return fail(documents.error(), "read the superseded documents");
  return documents;
}

Status Store::forget_superseded(const std::string& source, uint64_t revision) {
  const std::string context =
      "forget revision " + std::to_string(revision) + " of the document of " + source;
  const std::lock_guard lock(impl_->mutex);
  const Status done = store::change(impl_->database, sql::forget_superseded, source, revision);
  if (!done) return fail(done.error(), context);
  return {};
}

Status Store::save_history(const ContainerHistory& history) {
  const std::lock_guard lock(impl_->mutex);
  const Status done =
      store::change(impl_->database, sql::put_history, history.workload, history.container,
                    history.spec_hash, history.restarts, history.last_exit_code,
                    history.last_reason, history.last_started_at, history.last_finished_at);
  if (!done) return fail(done.error(), "save the history of " + history.workload);
  return {};
}

Result<std::vector<ContainerHistory>> Store::history() {
  const auto read = [](const sqlite::Statement& row) {
    ContainerHistory one;
    one.workload = row.text(0);
    one.container = row.text(1);
    one.spec_hash = row.text(2);
    one.restarts = static_cast<uint32_t>(row.integer(3));
    one.last_exit_code = row.optional_integer(4);
    one.last_reason = row.text(5);
    one.last_started_at = row.time(6);
    one.last_finished_at = row.time(7);
    return one;
  };
  const std::lock_guard lock(impl_->mutex);
  auto all = store::all_rows(impl_->database, sql::list_history, read);
  if (!all) return fail(all.error(), "read the history");
  return all;
}

Status Store::remove_history(const std::string& workload) {
  const std::lock_guard lock(impl_->mutex);
  const Status done = store::change(impl_->database, sql::remove_history, workload);
  if (!done) return fail(done.error(), "remove the history of " + workload);
  return {};
}

Status Store::save_same_images(const SameImages& same) {
  const std::lock_guard lock(impl_->mutex);
  const Status done = store::put_same_images(impl_->database, same);
  if (!done) return fail(done.error(), "save what " + same.workload + " runs");
  return {};
}

Status Store::remove_same_images(const std::string& workload) {
  const std::lock_guard lock(impl_->mutex);
  const Status done = store::remove_same_images(impl_->database, workload);
  if (!done) return fail(done.error(), "forget what " + workload + " ran");
  return {};
}

Result<std::vector<SameImages>> Store::same_images() {
  const std::lock_guard lock(impl_->mutex);
  auto all = store::list_same_images(impl_->database);
  if (!all) return fail(all.error(), "read what workloads run");
  return all;
}

Status Store::save_image_uses(const std::vector<ImageUse>& uses,
                              const std::vector<std::string>& gone) {
  const std::string context = "save the use of images";
  if (uses.empty() && gone.empty()) return {};
  const std::lock_guard lock(impl_->mutex);
  Result<sqlite::Transaction> transaction = sqlite::Transaction::begin(impl_->database);
  if (!transaction) return fail(transaction.error(), context);
  Status done;
  for (const std::string& digest : gone) {
    if (done) done = store::forget_image(impl_->database, digest);
  }
  for (const ImageUse& use : uses) {
    if (done) done = store::put_image_use(impl_->database, use);
  }
  if (done) done = transaction->commit();
  if (!done) return fail(done.error(), context);
  return {};
}

Result<std::vector<ImageUse>> Store::image_uses() {
  const std::lock_guard lock(impl_->mutex);
  auto uses = store::list_image_uses(impl_->database);
  if (!uses) return fail(uses.error(), "read the use of images");
  return uses;
}

Status Store::save_controllers(const ControllerChanges& changes) {
  if (changes.empty()) return {};
  return synced("save the state of Jobs", [&](sqlite::Database& database) {
    Status done = store::put_controllers(database, changes);
    if (done) done = failpoint("store.save_controllers.commit");
    return done;
  });
}

Result<std::vector<JobRecord>> Store::jobs() {
  const std::lock_guard lock(impl_->mutex);
  auto jobs = store::list_jobs(impl_->database);
  if (!jobs) return fail(jobs.error(), "read the state of Jobs");
  return jobs;
}

Result<std::vector<CronRecord>> Store::cron_jobs() {
  const std::lock_guard lock(impl_->mutex);
  auto jobs = store::list_cron_jobs(impl_->database);
  if (!jobs) return fail(jobs.error(), "read the state of CronJobs");
  return jobs;
}

Result<int64_t> Store::take_command(const CommandRecord& command) {
  const std::string context = "record a command";
  int64_t number = 0;
  const Status taken = synced(context, [&](sqlite::Database& database) -> Status {
    const auto known = store::find_command(database, command.request);
    if (!known) return fail(known.error());
    if (*known) return fail(Code::AlreadyExists, (*known)->source + " has sent it before");
    const Result<int64_t> put = store::put_command(database, command);
    if (!put) return fail(put.error());
    number = *put;
    Status done = store::trim_commands(database, impl_->max_commands);
    if (done) done = failpoint("store.take_command.commit");
    return done;
  });
  if (!taken) return fail(taken.error());
  return number;
}

Status Store::answer_command(int64_t number, const std::string& answer) {
  return synced("record the answer to a command", [&](sqlite::Database& database) {
    Status done = store::answer_command(database, number, answer);
    if (done) done = failpoint("store.answer_command.commit");
    return done;
  });
}

Status Store::readdress_command(const CommandRecord& command) {
  const std::lock_guard lock(impl_->mutex);
  return store::readdress_command(impl_->database, command);
}

Status Store::deliver_command(int64_t number) {
  const std::lock_guard lock(impl_->mutex);
  return store::deliver_command(impl_->database, number);
}

Result<std::optional<CommandRecord>> Store::find_command(const std::string& request) {
  const std::lock_guard lock(impl_->mutex);
  auto found = store::find_command(impl_->database, request);
  if (!found) return fail(found.error(), "look for a command");
  return found;
}

Status Store::interrupt_commands(const std::string& answer, size_t most) {
  return synced("answer what was cut off", [&](sqlite::Database& database) {
    Status done = store::interrupt_commands(database, answer);
    if (done) done = store::give_up_commands(database, most);
    return done;
  });
}

Result<std::vector<CommandRecord>> Store::open_commands(size_t most) {
  const std::lock_guard lock(impl_->mutex);
  auto commands = store::list_open_commands(impl_->database, most);
  if (!commands) return fail(commands.error(), "read the commands");
  return commands;
}

Status Store::save_order(const OrderRecord& order) {
  return synced("save an order for " + order.workload, [&](sqlite::Database& database) {
    Status done = store::put_order(database, order);
    if (done) done = failpoint("store.save_order.commit");
    return done;
  });
}

Status Store::remove_order(const std::string& workload) {
  return synced("remove the order for " + workload, [&](sqlite::Database& database) {
    return store::remove_order(database, workload);
  });
}

Result<std::vector<OrderRecord>> Store::orders() {
  const std::lock_guard lock(impl_->mutex);
  auto orders = store::list_orders(impl_->database);
  if (!orders) return fail(orders.error(), "read the orders");
  return orders;
}

Result<int64_t> Store::append_event(const EventRecord& event) {
  const std::string context = "append an event";
  const std::lock_guard lock(impl_->mutex);
  Result<sqlite::Transaction> transaction = sqlite::Transaction::begin(impl_->database);
  if (!transaction) return fail(transaction.error(), context);
  Status done = impl_->put_events({event});
  if (done) done = transaction->commit();
  if (!done) return fail(done.error(), context);
  const int64_t number = impl_->next_event;
  impl_->note_events(1);
  return number;
}

int64_t Store::last_event() {
  const std::lock_guard lock(impl_->mutex);
  return impl_->next_event - 1;
}

Result<std::vector<EventRecord>> Store::events(int64_t after, size_t limit) {
  constexpr uint64_t kMost = std::numeric_limits<int64_t>::max();
  const std::lock_guard lock(impl_->mutex);
  auto events = store::list_events(impl_->database, after,
                                   static_cast<int64_t>(std::min<uint64_t>(limit, kMost)));
  if (!events) return fail(events.error(), "read the events");
  return events;
}

}  // namespace wherry
