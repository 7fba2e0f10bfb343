#include "agent/main/outside.h"

#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>
#include <unistd.h>

#include "agent/check/checker.h"
#include "agent/check/finding.h"
#include "agent/config/config.h"
#include "agent/main/device_facts.h"
#include "agent/main/diagnosis.h"
#include "agent/main/local_manifests.h"
#include "base/log.h"

namespace wherry {
namespace {

// The configuration, as far as there is one, and a look at what it names.
class Look {
 public:
  explicit Look(const Outside& outside)
      : loaded_(load_config(outside.config_file, outside.sets)),
        checker_(
            check_subject(loaded_.config, outside.config_file, outside.sets, outside.helper_dir),
            configured() ? check::all_probes() : check::bare_probes()) {}

  const Config& config() const { return loaded_.config; }
  bool configured() const { return loaded_.errors.empty(); }
  Result<check::Findings> findings(const CancelToken& cancel) {
    auto findings = checker_.run(std::nullopt, cancel);
    if (findings && !configured()) {
      findings->push_back(check::warn("configuration", "the rest",
                                      "it was not looked at: the configuration decides about it",
                                      "correct it, then wherry check again"));
    }
    return findings;
  }
  // Ends the program with `code` where all is told: what hangs must not be waited for.
  int end(int code) {
    if (std::fflush(stdout) != 0 || !checker_.stop()) _exit(code);
    return code;
  }

 private:
  const ConfigResult loaded_;
  check::Checker checker_;
};

void begin() {
  signal(SIGPIPE, SIG_IGN);
  log_setup(LogLevel::Off, "text");
}

int failed(const Error& error) {
  std::fprintf(stderr, "wherryd: %s\n", error.full().c_str());
  return 1;
}

class NoLogs final : public runtime::Logs {
 public:
  Status read(const runtime::LogQuery&, const LineSink&, CancelToken) override {
    return fail(Code::NotFound, "there is no agent to read it");
  }
};

}  // namespace

int check_device(const Outside& outside) {
  begin();
  Look look(outside);
  const auto findings = look.findings({});
  if (!findings) return failed(findings.error());
  std::printf("%s\n", check::to_json(*findings, SystemClock().wall()).c_str());
  return look.end(check::worst(*findings) == check::Level::Fail ? 1 : 0);
}

int bundle_device(const Outside& outside) {
  begin();
  Look look(outside);
  const SystemClock clock;
  StateBoard board;
  const auto view = std::make_shared<StateView>();
  view->device = read_device(look.config(), WHERRY_VERSION);
  board.set(view);
  NoLogs logs;
  const auto away = [] { return fail(Code::Unavailable, "wherryd does not run"); };
  const auto documents_away = [away]() -> Result<std::vector<StoredDocument>> { return away(); };
  const support::Bundle bundle(
      {look.config(), WHERRY_VERSION, clock, board, logs, documents_away, documents_away,
       [away](int64_t, size_t) -> Result<std::vector<EventRecord>> { return away(); },
       [&look] { return local_manifest_texts(look.config().manifests.dir); },
       [] { return std::string(); },
       [&look, &clock](const CancelToken& cancel) -> Result<std::string> {
         const auto findings = look.findings(cancel);
         if (!findings) return fail(findings.error());
         return check::to_json(*findings, clock.wall());
       }});
  const Status written =
      bundle.write({.outside = true, .unconfigured = !look.configured()},
                   [](std::string_view bytes) {
                     return std::fwrite(bytes.data(), 1, bytes.size(), stdout) == bytes.size();
                   },
                   {});
  if (!written) return failed(written.error());
  return look.end(std::fflush(stdout) == 0 ? 0 : 1);
}

}  // namespace wherry
