#include "runtime/image/pull.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <optional>
#include <system_error>

#include "base/digest.h"
#include "base/executor.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/text.h"
#include "runtime/image/fetch.h"
#include "runtime/image/rate_meter.h"

namespace wherry::runtime {
namespace {

// Of one connection. 10 MB/s at a round trip of 50 ms; and no more than that is lost with the
// agent.
constexpr int kWindow = 512 << 10;
constexpr int kLeast = 32 << 10;
// Over all pulls, but for the first of each. The unit's TasksMax is 256.
constexpr size_t kMaxFetchers = 96;
constexpr Duration kReportEvery = std::chrono::milliseconds(250);

// Keeps what it has received in memory: for configs, whose size is bounded.
class MemorySink final : public BlobSink {
 public:
  explicit MemorySink(const Descriptor& blob) : blob_(blob) {}
  int64_t offset() const override { return static_cast<int64_t>(bytes_.size()); }
  Status begin(int64_t at, bool) override {
    if (at == offset()) return {};
    if (at != 0) return fail(Code::Unavailable, "bytes for another place in the blob");
    bytes_.clear();
    return {};
  }
  Status data(std::string_view bytes) override {
    if (static_cast<int64_t>(bytes_.size() + bytes.size()) > blob_.size) {
      return fail(Code::DataLoss, "blob " + blob_.digest + " is longer than announced");
    }
    bytes_ += bytes;
    return {};
  }
  std::string take() { return std::move(bytes_); }

 private:
  const Descriptor& blob_;
  std::string bytes_;
};

// A mirror that said it is this one has said something wrong.
bool is_wrong_image(const Error& error) {
  return error.code() == Code::DataLoss || error.code() == Code::InvalidArgument ||
         error.code() == Code::NotFound;
}

StringMap source_label(const Reference& reference) {
  return {{"containerd.io/distribution.source." + reference.host, reference.repository}};
}

}  // namespace

struct Puller::Job {
  Reference reference;
  std::string name;  // of the image
  const PullRequest& request;
  CancelToken cancel;  // of the caller, or of ourselves when a layer has failed
  Throttle::Share share;
  bool leased = false;
  bool only_looks = false;  // nothing is stored
  std::unique_ptr<Registry> registry{};
  ImageLayout layout{};
  StringMap source{};

  // Layers: fetched by threads, unpacked by the pull in order.
  std::optional<LayerBoard> board{};
  std::deque<std::atomic<int64_t>> done{};  // bytes, by layer
  std::atomic<int64_t> received{0};         // bytes, from the registry
  std::atomic<int64_t> checking{0};         // bytes that were there and are being read
  RateMeter rate{};
  std::optional<PullProgress> reported{};

  void report(MonoTime at) {
    if (!request.progress) return;
    PullProgress now;
    now.total_bytes = layout.size();
    now.done_bytes = now.total_bytes;
    for (size_t i = 0; i < done.size(); ++i) {
      now.done_bytes += done[i] - layout.content.layers[i].size;
    }
    now.bytes_per_second = rate.add(at, received);
    now.checking_bytes = checking;
    if (reported && now.done_bytes == reported->done_bytes &&
        now.bytes_per_second == reported->bytes_per_second &&
        now.checking_bytes == reported->checking_bytes) {
      return;
    }
    reported = now;
    request.progress(now);
  }
};

Puller::Puller(ImageBackend& backend, PullOptions options)
    : backend_(backend),
      options_(std::move(options)),
      leases_(backend, clock_),
      slots_(std::max<size_t>(1, options_.max_parallel), options_.slice),
      throttle_(options_.bandwidth_limit),
      notes_(clock_),
      blobs_(options_.trial, 4 * options_.trial) {}

// A limit on bytes per second holds from the first second on: no burst into large buffers.
HttpTimeouts Puller::http_timeouts() const {
  HttpTimeouts timeouts = options_.timeouts;
  const int64_t limit = throttle_.limit();
  timeouts.window = kWindow;
  if (limit > 0)
    timeouts.window = static_cast<int>(std::clamp<int64_t>(limit / 8, kLeast, kWindow));
  return timeouts;
}

Result<Registry*> Puller::connect(Job& job) {
  if (job.registry) return job.registry.get();
  auto hosts = registry_hosts(options_.hosts_dir, job.reference.host);
  if (!hosts) return fail(hosts.error());
  RegistryAccess access{job.request.credentials, options_.credentials, options_.proxies};
  job.registry = std::make_unique<Registry>(job.reference, std::move(*hosts), std::move(access),
                                            http_timeouts(), notes_);
  return job.registry.get();
}

// From the store where it is there and sound, else from the registry.
Result<std::string> Puller::fetch_document(Job& job, const Descriptor& blob) {
  if (backend_.stat_blob(blob.digest)) {
    auto local = read_document(backend_, blob);
    if (local || local.error().code() == Code::Unavailable) return local;
  }
  return job.registry->document(blob, job.cancel);
}

Status Puller::put_document(const Job& job, std::string_view kind, const Descriptor& blob,
                            std::string_view bytes, const StringMap& labels) {
  if (job.only_looks) return {};
  return store_document(backend_, kind, blob, bytes, labels, leases_.current(job.name));
}

Status Puller::store_documents(Job& job, const Descriptor& target) {
  if (Status reached = failpoint("image.manifest"); !reached) return reached;
  ImageLayout& layout = job.layout;
  layout = {};
  layout.target = layout.manifest = target;
  auto bytes = fetch_document(job, target);
  if (!bytes) return fail(bytes.error());
  for (int depth = 0; media::is_index(layout.manifest.media_type); ++depth) {
    if (depth == 2) return fail(Code::InvalidArgument, "indexes within indexes within indexes");
    const std::string what = "index " + layout.manifest.digest;
    const auto entries = parse_index(*bytes, what);
    if (!entries) return fail(entries.error());
    auto entry = choose(*entries, options_.platform, what);
    if (!entry) return fail(entry.error());
    StringMap labels = index_labels(*entries);
    labels.insert(job.source.begin(), job.source.end());
    Status stored = put_document(job, "index", layout.manifest, *bytes, labels);
    if (!stored) return stored;
    layout.index_size += layout.manifest.size;
    layout.manifest = entry->target;
    bytes = fetch_document(job, layout.manifest);
    if (!bytes) return fail(bytes.error());
  }
  auto manifest = parse_manifest(*bytes, "manifest " + layout.manifest.digest);
  if (!manifest) return fail(manifest.error());
  StringMap labels = manifest_labels(*manifest);
  labels.insert(job.source.begin(), job.source.end());
  layout.content = std::move(*manifest);
  if (layout.is_artifact()) {
    if (Status added = add_rootfs(layout, ""); !added) return added;
    labels.merge(config_labels(options_.snapshotter, layout.top_chain()));
  }
  return put_document(job, "manifest", layout.manifest, *bytes, labels);
}

Status Puller::fetch_config(Job& job) {
  if (Status reached = failpoint("image.config"); !reached) return reached;
  const Descriptor& blob = job.layout.content.config;
  if (blob.size > kMaxDocument) {
    return fail(Code::InvalidArgument, "config " + blob.digest + " is larger than 4 MiB");
  }
  std::string bytes;
  const auto local = backend_.stat_blob(blob.digest) ? read_document(backend_, blob)
                                                     : fail(Code::NotFound, "not in the store");
  if (local) {
    bytes = *local;
  } else {
    do {
      MemorySink sink(blob);
      if (Status got = job.registry->blob(blob, sink, job.cancel); !got) return got;
      bytes = sink.take();
    } while (sha256_digest(bytes) != blob.digest && job.registry->blame(blob.digest));
    if (sha256_digest(bytes) != blob.digest) {
      return fail(Code::DataLoss, "config " + blob.digest + " arrived damaged");
    }
  }
  if (Status added = add_rootfs(job.layout, bytes); !added) return added;
  StringMap labels = job.source;
  if (!job.layout.is_artifact()) {
    labels.merge(config_labels(options_.snapshotter, job.layout.top_chain()));
  }
  return put_document(job, "config", blob, bytes, labels);
}

Status Puller::fetch_layer(Job& job, size_t index) {
  const Descriptor& layer = job.layout.content.layers[index];
  const FetchContext context{backend_,
                             *job.registry,
                             [this, &job] { return leases_.current(job.name); },
                             options_.retry,
                             slots_,
                             blobs_,
                             job.reference.host,
                             job.share,
                             job.received,
                             job.checking,
                             [&job, index] { job.board->arrived(index); }};
  return fetch_blob(context, "layer", layer, job.source, job.done[index], job.cancel);
}

// Bytes that are in the store.
int64_t Puller::stored(const Descriptor& layer) {
  if (backend_.stat_blob(layer.digest)) return layer.size;
  const int64_t there = backend_.ingested(ingest_name("layer", layer.digest)).value_or(0);
  return std::min(there, layer.size);
}

// False where there is none to be had.
bool Puller::start_fetcher(Job& job, std::vector<std::thread>& threads) {
  if (++fetchers_ <= kMaxFetchers || threads.empty()) {
    try {
      threads.emplace_back([this, &job, first = threads.empty()] { fetch_layers(job, first); });
      return true;
    } catch (const std::system_error&) {  // no more of them: those there are do the work
    }
  }
  --fetchers_;
  return false;
}

void Puller::fetch_layers(Job& job, bool first) {
  name_this_thread("wherry-fetch");
  while (const auto index = job.board->next(first)) {
    if (Status fetched = fetch_layer(job, *index); fetched) {
      job.board->fetched(*index);
    } else {
      job.board->failed(*index, fetched.error());
      job.cancel.cancel();
    }
  }
}

// Until the layer is there, telling about progress meanwhile.
Status Puller::await_layer(Job& job, size_t index) {
  while (true) {
    job.report(clock_.now());
    const auto there = job.board->wait_for(index, kReportEvery);
    if (!there) return fail(there.error());
    if (*there) return {};
  }
}

Status Puller::fetch_and_unpack(Job& job) {
  const size_t count = job.layout.content.layers.size();
  job.board.emplace(job.layout.content.layers, options_.pace, job.received, job.cancel);
  for (const Descriptor& layer : job.layout.content.layers) job.done.emplace_back(stored(layer));
  job.report(clock_.now());  // what was there before is no gain of this attempt
  if (options_.space != nullptr) {
    Status fits = options_.space->before_fetch(job.reference.name(), job.layout, job.cancel);
    if (!fits) return fits;
  }
  const auto unpacked = hold_unpacked(backend_, job.layout, leases_.current(job.name));
  if (!unpacked) return fail(unpacked.error());

  Status outcome;
  {
    struct Joined {
      std::atomic<size_t>& all;
      std::vector<std::thread> threads;
      ~Joined() {
        for (std::thread& thread : threads) thread.join();
        all -= threads.size();
      }
    } fetchers{fetchers_, {}};
    const size_t threads = std::min(count, std::max<size_t>(1, options_.max_parallel));
    fetchers.threads.reserve(threads);
    while (fetchers.threads.size() < threads && start_fetcher(job, fetchers.threads)) {
    }
    if (count > 0 && fetchers.threads.empty()) {
      outcome = fail(Code::Unavailable, "the system gives no thread for a download");
    }
    for (size_t i = 0; i < count && outcome; ++i) {
      outcome = await_layer(job, i);
      if (outcome && i >= *unpacked && options_.space != nullptr) {
        outcome = options_.space->before_unpack(job.layout.content.layers[i], job.cancel);
      }
      if (outcome && i >= *unpacked) {
        outcome =
            unpack_one(backend_, chains_, job.layout, i, leases_.current(job.name), job.cancel);
      }
      if (outcome) job.board->unpacked(i);
    }
    if (!outcome) job.cancel.cancel();  // the other layers are of no use now
  }
  job.report(clock_.now());
  // The cause rather than the cancel that followed it.
  const Status failed = job.board->failure();
  const bool followed = !outcome && outcome.error().code() == Code::Cancelled && !failed;
  return followed ? failed : outcome;
}

Status Puller::run(Job& job) {
  const auto registry = connect(job);
  if (!registry) return fail(registry.error());
  Status stored;
  do {
    const auto target = (*registry)->resolve(job.cancel);
    if (!target) return fail(target.error());
    if (!job.leased) {
      const auto lease = leases_.take(job.name);
      if (!lease) return fail(lease.error());
      job.leased = true;
    }
    if (Status reached = failpoint("image.lease"); !reached) return reached;
    stored = store_documents(job, *target);
  } while (!stored && is_wrong_image(stored.error()) &&
           (*registry)->blame_resolved(stored.error()));
  if (!stored) return stored;
  if (Status fetched = fetch_config(job); !fetched) return fetched;
  if (Status done = fetch_and_unpack(job); !done) return done;
  // A record stands for a whole image. Snapshots that were there before are kept alive by the
  // config's label, and the config by our lease.
  if (Status whole = check_content(backend_, job.layout); !whole) return whole;
  if (Status reached = failpoint("image.sync"); !reached) return reached;
  if (Status whole = check_unpacked(backend_, job.layout, job.cancel); !whole) return whole;
  const auto pass = names_.enter(job.name, job.cancel);
  if (!pass) return fail(pass.error());
  return record_image(backend_, job.reference.name(), job.layout.target, {{kPulledLabel, "true"}},
                      leases_.current(job.name));
}

Result<ImageLayout> Puller::pull(const Reference& reference, const PullRequest& request,
                                 const CancelToken& cancel) {
  return bring_damaged([&] { return pull_once(reference, request, cancel); });
}

Result<ImageLayout> Puller::pull_once(const Reference& reference, const PullRequest& request,
                                      const CancelToken& cancel) {
  Job job{reference, reference.name(), request, CancelToken(), Throttle::Share(throttle_)};
  job.source = source_label(reference);
  const auto linked = cancel.on_cancel([token = job.cancel]() mutable { token.cancel(); });
  Status outcome = run(job);
  if (!outcome && cancel.cancelled()) outcome = fail(Code::Cancelled, "cancelled");
  static_cast<void>(failpoint("image.release"));
  if (job.leased) leases_.settle(job.name, outcome);
  if (!outcome) return fail(outcome.error());
  return std::move(job.layout);
}

Result<ImageLayout> Puller::look(const Reference& reference, const PullRequest& request,
                                 const CancelToken& cancel) {
  Job job{reference, reference.name(), request, cancel, Throttle::Share(throttle_)};
  job.only_looks = true;
  const auto registry = connect(job);
  if (!registry) return fail(registry.error());
  Status looked;
  do {
    const auto target = (*registry)->resolve(cancel);
    if (!target) return fail(target.error());
    looked = store_documents(job, *target);
  } while (!looked && is_wrong_image(looked.error()) &&
           (*registry)->blame_resolved(looked.error()));
  if (looked) looked = fetch_config(job);
  if (!looked) return fail(looked.error());
  return std::move(job.layout);
}

Status Puller::unpack(const ImageLayout& layout, const CancelToken& cancel) {
  const std::string name = "unpack " + layout.target.digest;
  const auto lease = leases_.take(name);
  if (!lease) return fail(lease.error());
  Status outcome;
  const auto unpacked = hold_unpacked(backend_, layout, leases_.current(name));
  if (!unpacked) outcome = fail(unpacked.error());
  for (size_t i = unpacked.value_or(0); i < layout.chains.size() && outcome; ++i) {
    outcome = unpack_one(backend_, chains_, layout, i, leases_.current(name), cancel);
  }
  if (outcome) outcome = check_unpacked(backend_, layout, cancel);
  // Without this label the collector would take the snapshots with the lease.
  if (outcome) {
    outcome = backend_.set_blob_labels(layout.keeper().digest,
                                       config_labels(options_.snapshotter, layout.top_chain()));
  }
  leases_.settle(name, outcome);
  return outcome;
}

}  // namespace wherry::runtime
