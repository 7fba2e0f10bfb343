// wherryd: reads its configuration, starts the agent, and waits for signals.

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <malloc.h>
#include <signal.h>
#include <string>
#include <system_error>
#include <unistd.h>
#include <vector>

#include <CLI/CLI.hpp>

#include "agent/config/config.h"
#include "agent/main/agent.h"
#include "agent/main/notify.h"
#include "agent/main/outside.h"
#include "base/failpoint.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/memory.h"

namespace {

using wherry::Agent;
using wherry::ConfigResult;

// By then what starting up took is no longer needed, and goes back to the system.
constexpr wherry::Duration kSettled = std::chrono::seconds(10);

struct Arguments {
  std::string config = "/etc/wherry/wherry.yaml";
  std::vector<std::string> sets;
  bool check_config = false;
  bool check = false;
  bool support_bundle = false;
};

// The exit code, or -1 to go on.
int parse(int argc, char** argv, Arguments& arguments) {
  CLI::App app{"Runs the workloads that its fleet, or its owner, wants on this device.", "wherryd"};
  app.set_version_flag("--version", std::string("wherryd ") + WHERRY_VERSION);
  app.add_option("--config", arguments.config, "configuration file")->capture_default_str();
  app.add_option("--set", arguments.sets,
                 "one value, as key.path=value; may be given several times")
      ->allow_extra_args(false);
  // Each does one thing and exits: of two, one would be left undone.
  CLI::Option* config =
      app.add_flag("--check-config", arguments.check_config, "check the configuration and exit");
  CLI::Option* check =
      app.add_flag("--check", arguments.check,
                   "look at everything that is needed, print it as JSON and exit; see wherry check")
          ->excludes(config);
  app.add_flag("--support-bundle", arguments.support_bundle,
               "print what can be had of a support bundle where no agent runs (tar.gz) and exit; "
               "see wherry support-bundle")
      ->excludes(config)
      ->excludes(check);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    std::fprintf(stderr, "wherryd: %s; see wherryd --help\n", error.what());
    return 2;
  }
  return -1;
}

bool load(const Arguments& arguments, ConfigResult& result) {
  result = wherry::load_config(arguments.config, arguments.sets);
  for (const auto& issue : result.errors) {
    std::fprintf(stderr, "%s\n", wherry::to_string(issue).c_str());
  }
  return result.errors.empty();
}

// Where wherry-logger and wherry-pause are: beside this program, as where it was built, or at their
// place in an installation.
std::string helper_directory() {
  std::error_code error;
  const auto here = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  if (std::filesystem::exists(here / "wherry-logger", error)) return here;
  return (here / WHERRY_HELPERS).lexically_normal();
}

// Waits for one of `signals`, at most `timeout`; 0 when none came.
int wait_signal(const sigset_t& signals, wherry::Duration timeout) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(timeout);
  const timespec limit{static_cast<time_t>(seconds.count()),
                       static_cast<long>((timeout - seconds).count())};
  const int number = timeout > wherry::Duration::zero() ? sigtimedwait(&signals, nullptr, &limit)
                                                        : sigwaitinfo(&signals, nullptr);
  return number > 0 ? number : 0;
}

void serve(Agent& agent, const Arguments& arguments, const sigset_t& signals) {
  // Twice per interval, and only while the reconciler gets on with its work.
  const wherry::Duration beat = wherry::watchdog_interval() / 2;
  bool trimmed = false;
  while (true) {
    const bool watched = beat > wherry::Duration::zero();
    const int number = wait_signal(signals, trimmed   ? beat
                                            : watched ? std::min(beat, kSettled)
                                                      : kSettled);
    if (!trimmed) wherry::release_unused_memory();
    trimmed = true;
    if (number == SIGTERM || number == SIGINT) return;
    if (number == SIGHUP) {
      wherry::notify_manager("RELOADING=1");
      ConfigResult fresh;
      if (load(arguments, fresh)) {
        agent.reload(fresh.config);
      } else {
        wherry::log_error("the configuration has errors and is not taken over");
      }
      wherry::notify_manager("READY=1");
    }
    if (watched && agent.alive()) wherry::notify_manager("WATCHDOG=1");
  }
}

}  // namespace

int main(int argc, char** argv) {
  // Few arenas: the agent has many threads that allocate little.
  mallopt(M_ARENA_MAX, 2);
  mallopt(M_TRIM_THRESHOLD, 128 * 1024);

  wherry::open_standard_descriptors();

  Arguments arguments;
  if (const int code = parse(argc, argv, arguments); code >= 0) return code;
  if (arguments.check || arguments.support_bundle) {
    const wherry::Outside outside{arguments.config, arguments.sets, helper_directory()};
    return arguments.check ? wherry::check_device(outside) : wherry::bundle_device(outside);
  }
  ConfigResult loaded;
  if (!load(arguments, loaded)) return 1;
  if (arguments.check_config) {
    std::printf("%s is good\n", arguments.config.c_str());
    return 0;
  }
  wherry::log_setup(loaded.config.log.level, loaded.config.log.format);
  wherry::failpoints_from_environment();

  // Blocked before any thread exists, so that only the main thread takes them.
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, number);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);

  Agent agent(
      {loaded.config, WHERRY_VERSION, helper_directory(), arguments.config, arguments.sets});
  if (const auto started = agent.start(); !started) {
    std::fprintf(stderr, "wherryd: %s\n", started.error().full().c_str());
    return 1;
  }
  wherry::notify_manager("READY=1");
  serve(agent, arguments, signals);
  wherry::notify_manager("STOPPING=1");
  if (!agent.stop()) _exit(0);
  return 0;
}
