// containerd: its version, the snapshotter and the runtimes that are asked of it.
#include <algorithm>
#include <cerrno>
#include <charconv>
#include <set>
#include <unistd.h>

#include "agent/check/probes.h"
#include "base/run_process.h"
#include "base/text.h"
#include "runtime/containerd/client.h"
#include "runtime/containerd/plugins.h"

namespace wherry::check {
namespace {

constexpr const char* kContainerd = "containerd";
constexpr const char* kSnapshotter = "snapshotter";
constexpr const char* kRuntime = "runtime";
constexpr Duration kAnswerWithin = std::chrono::seconds(5);
// The oldest that is tried with every change of this agent.
constexpr int kOldestMajor = 1, kOldestMinor = 6;

int number_at(std::string_view& text) {
  int value = -1;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  text.remove_prefix(static_cast<size_t>(parsed.ptr - text.data()));
  return value;
}

// "1.6.20~ds1", "v2.1.0"; what is not of this form is given the benefit of the doubt.
bool is_too_old(std::string_view version) {
  if (version.starts_with('v')) version.remove_prefix(1);
  const int major = number_at(version);
  if (major < 0 || !version.starts_with('.')) return false;
  version.remove_prefix(1);
  const int minor = number_at(version);
  return major < kOldestMajor || (major == kOldestMajor && minor >= 0 && minor < kOldestMinor);
}

Finding look_at_version(const std::string& version, const std::string& address) {
  std::string seen = "version " + version + " answers";
  if (!is_too_old(version)) return ok(kContainerd, address, std::move(seen));
  return failed(kContainerd, address, std::move(seen), "install containerd 1.6 or newer");
}

Finding look_at_snapshotter(const std::vector<runtime::Plugin>& plugins,
                            const std::string& wanted) {
  std::vector<std::string> others;
  for (const runtime::Plugin& plugin : plugins) {
    if (plugin.type != runtime::kSnapshotterPlugin) continue;
    if (plugin.id != wanted) {
      if (plugin.trouble.empty()) others.push_back(plugin.id);
    } else if (plugin.trouble.empty()) {
      return ok(kSnapshotter, wanted, "containerd has it");
    } else {
      return failed(
          kSnapshotter, wanted,
          "containerd has it, but it did not begin: " + printable(plugin.trouble, 300),
          "mend that and restart containerd, or set containerd.snapshotter to another one");
    }
  }
  return failed(kSnapshotter, wanted, "containerd does not have it",
                others.empty()
                    ? "see the journal of containerd for why it has none"
                    : "set containerd.snapshotter to one of those it has: " + join(others, ", "));
}

// io.containerd.runc.v2 is containerd-shim-runc-v2 (containerd's runtime v2, "Invoking Runtimes").
std::string shim_of(const std::string& runtime) {
  if (runtime.starts_with('/')) return runtime;
  const std::vector<std::string> parts = split(runtime, '.');
  if (parts.size() < 2) return runtime;
  return "containerd-shim-" + parts[parts.size() - 2] + "-" + parts.back();
}

std::string first_line_of(const std::string& program, const CancelToken& cancel) {
  ProcessCall call;
  call.program = program;
  call.args = {"--version"};
  call.deadline = kAnswerWithin;
  const auto done = run_process(call, cancel);
  if (!done || done->exit_code != 0) return {};
  return printable(done->output.substr(0, done->output.find('\n')), 100);
}

Finding look_at_runtime(const std::string& name, const std::string& setting,
                        const CancelToken& cancel) {
  const std::string shim = shim_of(name), path = find_helper(shim);
  if (path.empty()) {
    return failed(kRuntime, name, shim + " is not installed",
                  "install the package that has it, or correct " + setting);
  }
  if (!name.starts_with("io.containerd.runc.")) return ok(kRuntime, name, "its shim is " + path);
  const std::string runc = find_helper("runc");
  if (runc.empty()) {
    return failed(kRuntime, name, "its shim is " + path + ", but there is no runc for it",
                  "install the package runc");
  }
  const std::string version = first_line_of(runc, cancel);
  return ok(kRuntime, name, "its shim is " + path + (version.empty() ? "" : ", with " + version));
}

std::string mend_of(const std::string& address) {
  if (access(address.c_str(), R_OK | W_OK) == 0) {
    return "systemctl restart containerd, and see journalctl -u containerd";
  }
  if (errno == EACCES) return "run it as root (sudo): containerd's socket is for root only";
  return "apt install containerd, systemctl start containerd, or correct containerd.address";
}

}  // namespace

std::string find_helper(const std::string& name) {
  if (name.find('/') != std::string::npos) {
    return access(name.c_str(), X_OK) == 0 ? name : std::string();
  }
  for (const std::string& directory : split(kHelperPath, ':')) {
    std::string path = directory + "/" + name;
    if (access(path.c_str(), X_OK) == 0) return path;
  }
  return {};
}

Findings look_at_containerd(const Scene& scene) {
  const Config::Containerd& wanted = scene.config().containerd;
  Findings findings;
  runtime::Client client({wanted.address, wanted.namespace_, wanted.snapshotter});
  const auto plugins = runtime::list_plugins(client, kAnswerWithin);
  const auto version =
      plugins ? client.version() : Result<runtime::DaemonVersion>(fail(plugins.error()));
  if (version) {
    findings.push_back(look_at_version(version->version, wanted.address));
    findings.push_back(look_at_snapshotter(*plugins, wanted.snapshotter));
  } else {
    findings.push_back(
        failed(kContainerd, wanted.address, version.error().full(), mend_of(wanted.address)));
  }
  findings.push_back(look_at_runtime(wanted.runtime, "containerd.runtime", scene.cancel));
  std::set<std::string> seen{wanted.runtime};
  for (const auto& [name, runtime] : wanted.runtime_classes) {
    if (!seen.insert(runtime).second) continue;
    findings.push_back(
        look_at_runtime(runtime, "containerd.runtime_classes." + name, scene.cancel));
  }
  return findings;
}

}  // namespace wherry::check
