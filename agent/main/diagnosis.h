#pragma once
// wherry check and the support bundle, wired to what they look at.

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/check/checker.h"
#include "agent/config/config.h"
#include "agent/reconcile/state_view.h"
#include "agent/store/store.h"
#include "agent/support/bundle.h"
#include "runtime/runtime.h"

namespace wherry {

// What a check is about, with or without an agent that runs.
check::Subject check_subject(const Config& config, const std::string& config_file,
                             const std::vector<std::string>& sets, const std::string& helper_dir);

// References and functions must outlive it; `store` is read when it is asked.
struct DiagnosisParts {
  check::Subject subject;
  const Config& config;
  std::string version;
  const Clock& clock;
  const StateBoard& board;
  const std::unique_ptr<Store>& store;
  runtime::Logs& logs;
  std::function<std::string()> metrics;
  std::function<Status()> alive;
  std::function<Status()> tcp;  // as ApiServer::tcp_status()
};

// Thread-safe.
class Diagnosis {
 public:
  explicit Diagnosis(DiagnosisParts parts);

  // docs/rest.md, GET /v1/check.
  Result<std::string> check(const CancelToken& cancel);
  // GET /v1/support-bundle.
  Status write_bundle(bool logs, const support::ByteSink& sink, const CancelToken& cancel) const {
    return bundle_.write({.logs = logs}, sink, cancel);
  }
  // As the answer to a command.
  Result<std::string> bundle_answer(const CancelToken& cancel) const {
    return bundle_.answer(cancel);
  }
  // What is read again takes effect where it needs no restart.
  void reloaded(const Config& fresh) { checker_.use(reloaded_config(parts_.config, fresh)); }
  // As Checker::stop().
  bool stop() { return checker_.stop(); }

 private:
  support::BundleParts bundle_parts();
  Result<std::vector<check::Knowledge::Accepted>> accepted() const;

  const DiagnosisParts parts_;
  check::Checker checker_;
  const support::Bundle bundle_;
};

}  // namespace wherry
