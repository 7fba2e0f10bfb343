#include "agent/main/diagnosis.h"

#include <utility>

#include "agent/main/clock_doubt.h"
#include "agent/main/local_manifests.h"
#include "agent/main/room_options.h"

namespace wherry {

check::Subject check_subject(const Config& config, const std::string& config_file,
                             const std::vector<std::string>& sets, const std::string& helper_dir) {
  check::Subject subject;
  subject.config = config;
  subject.config_file = config_file;
  subject.sets = sets;
  subject.helper_dir = helper_dir;
  subject.network = network_options(config, instance_of(config));
  subject.clock_doubt = clock_doubt;
  return subject;
}

Diagnosis::Diagnosis(DiagnosisParts parts)
    : parts_(std::move(parts)), checker_(parts_.subject), bundle_(bundle_parts()) {}

support::BundleParts Diagnosis::bundle_parts() {
  return {parts_.config,
          parts_.version,
          parts_.clock,
          parts_.board,
          parts_.logs,
          [this] { return parts_.store->documents(); },
          [this] { return parts_.store->superseded_documents(); },
          [this](int64_t after, size_t limit) { return parts_.store->events(after, limit); },
          [this] { return local_manifest_texts(parts_.config.manifests.dir); },
          parts_.metrics,
          [this](const CancelToken& cancel) { return check(cancel); }};
}

Result<std::vector<check::Knowledge::Accepted>> Diagnosis::accepted() const {
  const auto documents = parts_.store->documents();
  if (!documents) return fail(documents.error());
  std::vector<check::Knowledge::Accepted> all;
  for (const StoredDocument& each : *documents) {
    if (each.payload.empty()) continue;
    all.push_back({each.source, each.revision, each.accepted_at});
  }
  return all;
}

Result<std::string> Diagnosis::check(const CancelToken& cancel) {
  const auto findings = checker_.run(
      check::Knowledge{parts_.board.get(), accepted(), parts_.alive(), parts_.tcp()}, cancel);
  if (!findings) return fail(findings.error());
  return check::to_json(*findings, parts_.clock.wall());
}

}  // namespace wherry
