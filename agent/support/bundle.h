#pragma once
// The support bundle: everything that explains how this device fares, and no secret.

#include <functional>
#include <string>
#include <vector>

#include "agent/config/config.h"
#include "agent/reconcile/state_view.h"
#include "agent/store/store.h"
#include "agent/support/archive_writer.h"
#include "base/cancel.h"
#include "runtime/runtime.h"

namespace wherry::support {

// References and functions must outlive it; all are called from several threads at once.
struct BundleParts {
  const Config& config;
  std::string version;  // of wherryd
  const Clock& clock;
  const StateBoard& board;
  runtime::Logs& logs;
  std::function<Result<std::vector<StoredDocument>>()> documents;
  // What ran before, and may still: known for the values of its Secrets.
  std::function<Result<std::vector<StoredDocument>>()> superseded;
  std::function<Result<std::vector<EventRecord>>(int64_t after, size_t limit)> events;
  std::function<std::vector<std::string>()> local_manifests;  // what is in each file
  std::function<std::string()> metrics;
  std::function<Result<std::string>(const CancelToken&)> check;  // JSON
};

struct BundleWishes {
  bool logs = false;   // the end of what each container printed, which may be anything
  bool brief = false;  // what fits into a message: without logs, metrics and older events
  // No agent runs: what only one knows is missing, and its log, for only one knows the secrets that
  // may be in it.
  bool outside = false;
  bool unconfigured = false;  // nor is there a configuration to go by
};

// Thread-safe.
class Bundle {
 public:
  explicit Bundle(BundleParts parts) : parts_(std::move(parts)) {}

  // Writes the archive (tar.gz) to `sink`. What cannot be had is named in the archive itself. Holds
  // one file of at most a few MiB at a time. Cancelled where nobody takes it.
  Status write(const BundleWishes& wishes, const ByteSink& sink, const CancelToken& cancel) const;

  // The answer to the command: {"name":…,"bytes":…,"brief":…,"archive":"<base64>"}.
  // ResourceExhausted where it is too large for a message even when it is brief.
  Result<std::string> answer(const CancelToken& cancel) const;
  static constexpr size_t kMostAnswer = 192u << 10;  // bytes of the archive in it

  // "wherry-support-pump-7-20261126T235900Z" at this moment, which is also the folder in an archive
  // that is begun now.
  std::string name() const;

 private:
  Status write(const std::string& name, const BundleWishes& wishes, const ByteSink& sink,
               const CancelToken& cancel) const;

  const BundleParts parts_;
};

}  // namespace wherry::support
