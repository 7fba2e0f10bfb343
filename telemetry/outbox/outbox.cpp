#include "telemetry/outbox/outbox.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <map>
#include <mutex>
#include <span>
#include <unistd.h>
#include <utility>

#include "base/failpoint.h"
#include "base/files.h"
#include "base/log.h"
#include "base/text.h"
#include "telemetry/outbox/blocks.h"
#include "telemetry/outbox/commit_queue.h"
#include "telemetry/outbox/log_mark.h"
#include "telemetry/outbox/queue_file.h"
#include "telemetry/outbox/room.h"
#include "telemetry/outbox/streams.h"

namespace wherry::telemetry {
namespace {

// Records in memory that wait for the disk.
constexpr size_t kMaxWaiting = 4 << 20;
// More numbers than a log has: it is written back after 4 MiB, or half as many numbers.
constexpr uint64_t kNumbersSkipped = 1 << 20;
constexpr const char* kTooManyStreams = "TooManyStreams";

}  // namespace

struct Outbox::Impl {
  Impl(OutboxOptions given, const Clock& the_clock)
      : options(std::move(given)),
        clock(the_clock),
        commits([this](const CommitQueue::Group& group) { commit(group); }, kMaxWaiting) {}
  ~Impl() { close(); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  Status open();
  Status load();
  Status skip_numbers();
  Status write_back();
  void note_commit(uint64_t numbers);
  void close();
  Status replace();
  Result<Renewed> renew();
  void commit(const CommitQueue::Group& group);
  Result<Stream*> stream_for(const std::string& name);
  void forget_new(const std::vector<Stream*>& made);
  void make_room(Kind kind);
  Status take_out(std::span<const Mark> marks);
  // Notes a damaged file.
  template <typename T>
  T seen(T status) {
    if (!status && status.error().code() == Code::DataLoss && ready.exchange(false)) {
      trouble = fail(status.error());
      log_error("the outbox is damaged",
                {{"file", options.path}, {"error", status.error().full()}});
    }
    return status;
  }
  Status usable() const { return ready ? Status{} : trouble; }

  const OutboxOptions options;
  const Clock& clock;
  std::mutex file_mutex;  // before state_mutex; held for every statement
  std::optional<QueueFile> file;
  Status trouble = fail(Code::Unavailable, "the outbox is not open");  // while it is not ready
  Renewed renewed;  // what has been done for a new file that is not there yet
  LogMark mark{options.path};
  uint64_t numbers_in_log = 0, frames_in_log = 0;  // at most so many numbers
  CommitQueue commits;
  mutable std::mutex state_mutex;  // changes of `streams` are made with both
  Streams streams;
  int64_t last_id = 0;
  std::atomic<uint64_t> appended{0};
  std::atomic<bool> ready{false};
};

Status Outbox::Impl::open() {
  const bool lost = mark.records_are_missing();
  // First of all: what is written next may make the log look as long as it was.
  if (Status noted = lost ? mark.note_loss() : Status{}; !noted) return noted;
  // How many there are in what a kill left is not known.
  numbers_in_log = sqlite::has_content(options.path + "-wal") ? kNumbersSkipped : 0;
  frames_in_log = 0;
  auto opened = QueueFile::open(options.path, options.busy_timeout);
  if (!opened) return fail(opened.error());
  file.emplace(std::move(*opened));
  Status done = load();
  // Streams that are yet to come have new epochs.
  if (done && lost && streams.empty()) mark.remove();
  if (done && lost && !streams.empty()) done = skip_numbers();
  // Or with the next records.
  if (done && numbers_in_log > 0) (void)seen(write_back());
  if (done) {
    ready = true;
  } else {
    close();
  }
  return done;
}

void Outbox::Impl::close() {
  if (!file) return;
  if (ready) {
    mark.remove();
  } else {
    mark.forget();
    file->keep_as_is();
  }
  file.reset();
}

// Sets the damaged file aside and begins a new one.
Status Outbox::Impl::replace() {
  // What an earlier attempt left empty is no evidence, and takes nobody's place.
  if (sqlite::has_content(options.path) || sqlite::has_content(options.path + "-wal")) {
    renewed.set_aside = sqlite::aside_path(options.path, clock.wall());
    Status done = sqlite::set_aside(options.path, renewed.set_aside, false);
    if (done) done = sqlite::forget_old_asides(options.path);
    if (!done) return done;
  }
  return open();
}

Result<Outbox::Renewed> Outbox::Impl::renew() {
  if (ready) return Renewed{};
  close();
  Status done = trouble.error().code() == Code::DataLoss ? trouble : open();
  if (!done && done.error().code() == Code::DataLoss) {
    renewed.damage = done.error().full();
    done = replace();
  }
  if (done) return std::exchange(renewed, {});
  trouble = fail(done.error(), "open " + options.path);
  return fail(trouble.error());
}

Status Outbox::Impl::load() {
  auto rows = file->streams();
  if (!rows) return fail(rows.error());
  const std::lock_guard lock(state_mutex);
  streams.clear();
  for (StreamRow& row : *rows) {
    const std::optional<Kind> kind = kind_of(row.name);
    if (!kind) continue;
    const auto measure = file->measure(row.id, 0, kLastNumber);
    if (!measure) return fail(measure.error());
    Stream stream{std::move(row), *kind};
    stream.row.next = std::max(stream.row.next, measure->last + 1);
    stream.records = measure->records;
    stream.bytes = measure->bytes;
    stream.sent = stream.row.acked;
    last_id = std::max(last_id, stream.row.id);
    const std::string name = stream.row.name;
    streams.emplace(name, std::move(stream));
  }
  return {};
}

// The log has lost records that may have been sent: their numbers are not given to others. Nor may
// the skip be lost as they were, with the next damage of that log: before any record has a number
// behind it, it is in the database's file. Until then the loss stays noted, and a start after a
// power cut skips once more.
Status Outbox::Impl::skip_numbers() {
  const std::lock_guard lock(state_mutex);
  log_error("the outbox's log is damaged: records are lost", {{"file", options.path}});
  // Before as well: where the disk is full this fails, and not each time another skip is committed.
  Status done = file->write_back();
  if (!done) return done;
  const Streams before = streams;
  done = file->transact(true, [&]() -> Status {
    streams = before;
    for (auto& [name, stream] : streams) {
      const uint64_t lost_from = stream.row.next - 1;
      stream.row.next += kNumbersSkipped;
      stream.dropped += kNumbersSkipped;
      Status done = file->mark(stream.row);
      if (done) done = file->put_gap(stream.row.id, lost_from, stream.row.next - 1, "Damaged");
      if (!done) return done;
    }
    return {};
  });
  if (done) done = failpoint("outbox.skip.write-back");
  if (done) done = file->write_back();
  if (done) done = mark.note_written_back();
  if (done) numbers_in_log = 0;
  return done;
}

// The mark goes first: it would miss the log that a power cut finds empty.
Status Outbox::Impl::write_back() {
  Status done = mark.remove_for_good();
  if (done) done = file->write_back();
  if (done) numbers_in_log = 0;
  return done;
}

// After a commit, and before anybody sees its numbers: where it can be written back, the log never
// holds more than a skip covers.
void Outbox::Impl::note_commit(uint64_t numbers) {
  const uint64_t frames = file->log_frames();
  numbers_in_log = numbers + (frames < frames_in_log ? 0 : numbers_in_log);  // it began anew
  frames_in_log = frames;
  if (numbers_in_log > kNumbersSkipped / 2) {
    // What fails here is tried again with the next records.
    const Status done = seen(write_back());
    if (done) return;
    log_debug("the outbox's log is not written back", {{"error", done.error().full()}});
  }
  mark.note(frames);
}

// The caller holds file_mutex and is in a transaction.
Result<Stream*> Outbox::Impl::stream_for(const std::string& name) {
  const auto found = streams.find(name);
  if (found != streams.end()) return &found->second;
  if (streams.size() >= options.max_streams) {
    return fail(
        Code::ResourceExhausted,
        "there are " + std::to_string(streams.size()) + " streams, which is the most there may be",
        kTooManyStreams);
  }
  Stream stream{{free_id(streams, last_id), name, random_uuid()}, *kind_of(name)};
  last_id = std::max(last_id, stream.row.id);
  if (Status added = file->add(stream.row); !added) return fail(added.error());
  const std::lock_guard lock(state_mutex);
  return &streams.emplace(name, std::move(stream)).first->second;
}

void Outbox::Impl::forget_new(const std::vector<Stream*>& made) {
  const std::lock_guard lock(state_mutex);
  for (const Stream* stream : made) streams.erase(std::string(stream->row.name));
}

void Outbox::Impl::commit(const CommitQueue::Group& group) {
  const std::lock_guard lock(file_mutex);
  struct Joined {
    uint64_t next = 0;   // the next number
    uint64_t first = 0;  // of `lines`, which are not put yet
    Lines lines;
    uint64_t records = 0;
    int64_t bytes = 0;
    std::optional<std::string> cursor;
  };
  std::map<Stream*, Joined> joined;
  std::vector<Stream*> made;
  const auto put = [&](Stream& stream, Joined& join) -> Status {
    if (join.lines.empty()) return {};
    const auto bytes = put_blocks(*file, stream.row.id, join.first, std::exchange(join.lines, {}));
    if (!bytes) return fail(bytes.error());
    join.bytes += *bytes;
    return {};
  };
  const auto take = [&](AppendRequest& request) -> Status {
    const size_t before = streams.size();
    const auto stream = stream_for(request.stream);
    if (!stream) return fail(stream.error());
    if (streams.size() > before) made.push_back(*stream);
    Joined& join = joined[*stream];
    if (join.next == 0) join.next = (*stream)->row.next;
    if (request.more.lost > 0) {
      if (Status done = put(**stream, join); !done) return done;
      const uint64_t last = join.next - 1;
      join.next += request.more.lost;
      const Status gap = file->put_gap((*stream)->row.id, last, join.next - 1, request.more.reason);
      if (!gap) return gap;
    }
    if (request.more.cursor) {
      StreamRow row = (*stream)->row;
      row.cursor = *request.more.cursor;
      const Status kept = file->mark(row);
      if (!kept) return kept;
      join.cursor = request.more.cursor;
    }
    request.answer = Appended{join.next, request.lines.count};
    if (join.lines.empty()) join.first = join.next;
    join.lines.join(request.lines);
    join.next += request.lines.count;
    join.records += request.lines.count;
    return {};
  };
  const auto write = [&]() -> Status {
    joined.clear();
    forget_new(std::exchange(made, {}));
    for (AppendRequest* request : group) {
      Status taken = take(*request);
      // One stream too many is no reason to refuse the others.
      if (!taken && taken.error().reason() != kTooManyStreams) return taken;
      if (!taken) request->answer = fail(taken.error());
    }
    for (auto& [stream, join] : joined) {
      if (Status done = put(*stream, join); !done) return done;
    }
    return {};
  };
  Status done = usable();
  if (done) done = seen(file->transact(true, write));
  if (!done) {
    for (AppendRequest* request : group) request->answer = fail(done.error(), "keep records");
    forget_new(made);
    return;
  }
  uint64_t numbers = 0;
  for (const auto& [stream, join] : joined) numbers += join.next - stream->row.next;
  note_commit(numbers);
  std::array<bool, kKinds> grown{};
  {
    const std::lock_guard state(state_mutex);
    for (auto& [stream, join] : joined) {
      stream->dropped += join.next - stream->row.next - join.records;
      stream->row.next = join.next;
      stream->records += join.records;
      stream->bytes += join.bytes;
      if (join.cursor) stream->row.cursor = std::move(*join.cursor);
      grown[static_cast<size_t>(stream->kind)] = true;
    }
  }
  for (size_t kind = 0; kind < kKinds; ++kind) {
    if (grown[kind]) make_room(static_cast<Kind>(kind));
  }
  ++appended;
}

Status Outbox::Impl::take_out(std::span<const Mark> marks) {
  std::map<Stream*, Stream> changed;
  Status done = seen(file->transact(false, [&]() -> Status {
    changed.clear();
    for (const Mark& mark : marks) {
      const auto found = streams.find(mark.stream);
      if (found == streams.end() || found->second.row.epoch != mark.epoch) continue;
      Stream& after = changed.emplace(&found->second, found->second).first->second;
      if (Status taken = remove_acknowledged(*file, after, mark.last); !taken) return taken;
    }
    return {};
  }));
  if (!done) return done;
  const std::lock_guard lock(state_mutex);
  for (auto& [stream, after] : changed) *stream = std::move(after);
  return {};
}

// What fails here is tried again with the next records.
void Outbox::Impl::make_room(Kind kind) {
  std::vector<Stream*> those;
  int64_t bytes = 0;
  for (auto& [name, stream] : streams) {
    if (stream.kind != kind) continue;
    those.push_back(&stream);
    bytes += stream.bytes;
  }
  const int64_t share = share_of(kind, options);
  while (bytes > share) {
    Stream& largest = **std::max_element(those.begin(), those.end(),
                                         [](auto* a, auto* b) { return a->bytes < b->bytes; });
    Stream changed = largest;
    const Status freed = seen(free_room(*file, changed, bytes - share, share));
    if (!freed) {
      log_warn("cannot make room in the outbox", {{"error", freed.error().full()}});
      return;
    }
    if (changed.bytes >= largest.bytes) return;  // only what came last is left
    bytes -= largest.bytes - changed.bytes;
    const std::lock_guard lock(state_mutex);
    largest = std::move(changed);
  }
}

Outbox::Outbox(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Outbox::~Outbox() = default;

Outbox::Opened Outbox::open(const OutboxOptions& options, const Clock& clock) {
  Opened opened{std::unique_ptr<Outbox>(new Outbox(std::make_unique<Impl>(options, clock))), {}};
  // Why it is not ready is kept.
  if (auto renewed = opened.outbox->renew()) opened.renewed = std::move(*renewed);
  return opened;
}

Result<Outbox::Renewed> Outbox::renew() {
  const std::lock_guard lock(impl_->file_mutex);
  return impl_->renew();
}

Result<Appended> Outbox::append(const std::string& stream, Lines lines, const More& more) {
  const std::optional<Kind> kind = kind_of(stream);
  if (!kind || !good_name(stream)) {
    return fail(Code::InvalidArgument, printable(stream) + " is no stream's name");
  }
  if (lines.empty() && !more.cursor) return Appended{0, 0};
  const auto most = static_cast<size_t>(share_of(*kind, impl_->options) / 4);
  if (lines.text.size() > most) {
    return fail(Code::InvalidArgument,
                std::to_string(lines.text.size()) +
                    " bytes at once are more than the queue takes (" + std::to_string(most) + ")",
                kTooLarge);
  }
  return impl_->commits.add(stream, std::move(lines), more);
}

Result<Chunk> Outbox::read(const std::string& name, uint64_t after, size_t max_bytes) {
  const std::lock_guard lock(impl_->file_mutex);
  if (Status usable = impl_->usable(); !usable) return fail(usable.error());
  const auto found = impl_->streams.find(name);
  if (found == impl_->streams.end()) return fail(Code::NotFound, "there is no stream " + name);
  const Stream& stream = found->second;
  // Whatever is asked for: there are keys of other streams behind the last number.
  after = std::max(std::min(after, stream.row.next - 1), stream.row.acked);
  Chunk chunk;
  chunk.epoch = stream.row.epoch;
  chunk.next = stream.row.next;
  const Status read = impl_->seen(impl_->file->read(stream.row.id, after, [&](const Block& block) {
    return add_block(chunk, block, after, max_bytes);
  }));
  if (!read) return fail(read.error(), "read " + name);
  if (chunk.first <= after + 1) return chunk;
  auto reason = impl_->seen(impl_->file->gap_reason(stream.row.id, after, chunk.first));
  if (!reason) return fail(reason.error(), "read " + name);
  if (reason->empty()) *reason = "Damaged";
  chunk.dropped = Dropped{after + 1, chunk.first - after - 1, std::move(*reason)};
  return chunk;
}

Status Outbox::acknowledge(const std::vector<Mark>& marks) {
  const std::lock_guard lock(impl_->file_mutex);
  if (Status usable = impl_->usable(); !usable) return usable;
  Status done = impl_->take_out(marks);
  if (!done && done.error().code() == Code::ResourceExhausted) {
    // One by one they need less of the log.
    done = {};
    for (size_t i = 0; i < marks.size() && done; ++i) done = impl_->take_out({&marks[i], 1});
  }
  if (!done) return fail(done.error(), "take out what was acknowledged");
  const bool empty = std::all_of(impl_->streams.begin(), impl_->streams.end(),
                                 [](const auto& each) { return each.second.records == 0; });
  if (empty) (void)impl_->seen(impl_->file->give_back());  // or later
  return {};
}

std::string Outbox::cursor(const std::string& name) const {
  const std::lock_guard lock(impl_->state_mutex);
  const auto found = impl_->streams.find(name);
  return found == impl_->streams.end() ? "" : found->second.row.cursor;
}

void Outbox::note_sent(const std::string& name, uint64_t last) {
  const std::lock_guard file(impl_->file_mutex);
  const std::lock_guard lock(impl_->state_mutex);
  const auto found = impl_->streams.find(name);
  if (found != impl_->streams.end()) found->second.sent = std::max(found->second.sent, last);
}

std::vector<StreamState> Outbox::streams() const {
  const std::lock_guard lock(impl_->state_mutex);
  return states_of(impl_->streams);
}

Status Outbox::forget(const std::string& name) {
  const std::lock_guard lock(impl_->file_mutex);
  if (Status usable = impl_->usable(); !usable) return usable;
  const auto found = impl_->streams.find(name);
  if (found == impl_->streams.end()) return {};
  if (found->second.records > 0) {
    return fail(Code::FailedPrecondition, name + " still has records to be sent");
  }
  const int64_t id = found->second.row.id;
  Status done = impl_->seen(impl_->file->transact(false, [&] { return impl_->file->remove(id); }));
  if (!done) return done;
  const std::lock_guard state(impl_->state_mutex);
  impl_->streams.erase(found);
  return {};
}

bool Outbox::ready() const { return impl_->ready; }

Status Outbox::trouble() const {
  const std::lock_guard lock(impl_->file_mutex);
  return impl_->usable();
}

uint64_t Outbox::appended() const { return impl_->appended; }

}  // namespace wherry::telemetry
