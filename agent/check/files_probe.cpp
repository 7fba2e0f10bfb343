// The configuration, and who may read and change the files that matter.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <grp.h>
#include <set>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

#include "agent/check/probes.h"
#include "base/file_access.h"
#include "base/text.h"

namespace wherry::check {
namespace {

constexpr const char* kConfiguration = "configuration";
constexpr const char* kPermissions = "permissions";
constexpr size_t kMostEntries = 2000;  // of a directory
constexpr size_t kMostOfOneKind = 5;   // findings: one command mends them all, mostly

bool is_file_path(const std::string& path) { return path.starts_with('/'); }

// What keeps a secret: for its owner and group only, as the link wants it.
void look_at_secret(const std::string& key, const std::string& path, Findings& findings) {
  if (!is_file_path(path)) return;
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) {
    findings.push_back(failed(kPermissions, path, key + " cannot be read: " + std::strerror(errno),
                              "put the file there, or correct " + key));
  } else if (const auto fault = private_file_fault(path)) {
    const char* const besides = fault->exposed ? ", and change the secret: it may be known" : "";
    findings.push_back(
        failed(kPermissions, path, key + " " + fault->what, fault->command + besides));
  } else if (!S_ISREG(info.st_mode)) {
    findings.push_back(failed(kPermissions, path, key + " names no file",
                              "correct " + key + " in the configuration"));
  }
}

// What decides about the device: for root to change only.
void look_at_rule(const std::string& what, const std::string& path, Findings& findings) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return;  // what must be there is looked at elsewhere
  if ((info.st_mode & S_IWOTH) != 0) {
    findings.push_back(
        failed(kPermissions, path, "everybody may change " + what, "chmod o-w " + path));
  } else if (info.st_uid != 0 && info.st_uid != geteuid()) {
    findings.push_back(
        warn(kPermissions, path,
             "user " + std::to_string(info.st_uid) + " owns it and may change " + what,
             "chown root " + path));
  }
}

// Who may rename a directory may put another one in its place.
void look_at_ways(const std::vector<std::pair<std::string, std::string>>& rules,
                  Findings& findings) {
  std::set<std::filesystem::path> seen;
  for (const auto& [what, path] : rules) {
    if (!is_file_path(path)) continue;
    for (auto way = std::filesystem::path(path).parent_path(); seen.insert(way).second;
         way = way.parent_path()) {
      struct stat info {};
      if (stat(way.c_str(), &info) != 0) continue;
      if ((info.st_mode & S_IWOTH) == 0 || (info.st_mode & S_ISVTX) != 0) continue;
      if (std::any_of(findings.begin(), findings.end(),
                      [&way](const Finding& each) { return each.about == way.string(); })) {
        continue;  // that everybody may change what is in it is said already
      }
      findings.push_back(failed(
          kPermissions, way,
          "everybody may put something else in the place of " + path + ", which says " + what,
          "chmod o-w " + way.string()));
    }
  }
}

// A directory of those, and what is in it; certs.d has one more for each registry.
void look_at_rules(const std::string& what, const std::string& directory, Findings& findings) {
  look_at_rule(what, directory, findings);
  const size_t most = findings.size() + kMostOfOneKind;
  std::error_code error;
  std::filesystem::recursive_directory_iterator each(directory, error), end;
  for (size_t count = 0; !error && each != end && count < kMostEntries; each.increment(error)) {
    look_at_rule(what, each->path(), findings);
    if (findings.size() >= most) return;
    if (each.depth() > 0) each.disable_recursion_pending();
    ++count;
  }
}

void look_at_state_dir(const Scene& scene, Findings& findings) {
  const std::string& path = scene.config().storage.state_dir;
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) {
    if (!scene.knowledge && errno == ENOENT) return;  // the first start makes it
    findings.push_back(
        failed(kPermissions, path,
               std::string("the state directory is not there: ") + std::strerror(errno),
               "correct storage.state_dir, or look at the disk"));
  } else if ((info.st_mode & S_IRWXO) != 0) {
    findings.push_back(
        failed(kPermissions, path,
               "everybody may enter the state directory, where documents with Secrets are",
               "chmod 0700 " + path));
  } else if (access(path.c_str(), W_OK) != 0) {
    findings.push_back(
        failed(kPermissions, path,
               std::string("the state directory cannot be written: ") + std::strerror(errno),
               "remount the disk for writing, or look at dmesg for why it is not"));
  }
}

Finding describe(const ConfigIssue& issue) {
  if (is_file_path(issue.file) && access(issue.file.c_str(), F_OK) != 0 && errno == ENOENT) {
    return failed(kConfiguration, issue.file, "there is no such file",
                  "create it (an empty one will do), or name another one: --config");
  }
  const std::string line = issue.line > 0 ? "line " + std::to_string(issue.line) + ": " : "";
  return failed(kConfiguration, issue.file, line + issue.message,
                "correct it; wherryd --check-config says when it is good");
}

std::string group_name(gid_t id) {
  struct group entry {};
  struct group* found = nullptr;
  char buffer[4096];
  if (getgrgid_r(id, &entry, buffer, sizeof buffer, &found) != 0 || found == nullptr) {
    return std::to_string(id);
  }
  return entry.gr_name;
}

void look_at_socket(const Scene& scene, Findings& findings) {
  const std::string& path = scene.config().api.socket;
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return;  // the daemon is away, which is said elsewhere
  if ((info.st_mode & S_IRWXO) != 0) {
    findings.push_back(failed(kPermissions, path, "everybody may give orders on the API's socket",
                              "chmod 0660 " + path + ", and see who changed it"));
  } else {
    findings.push_back(ok(kPermissions, path,
                          "the API's socket is for root and the group " + group_name(info.st_gid)));
  }
}

}  // namespace

Findings look_at_configuration(const Scene& scene) {
  const Subject& subject = *scene.subject;
  const ConfigResult fresh = load_config(subject.config_file, subject.sets);
  Findings findings;
  for (const ConfigIssue& issue : fresh.errors) findings.push_back(describe(issue));
  if (!findings.empty()) return findings;
  std::vector<std::string> by_restart, by_reload;
  for (const ConfigChange& change : config_changes(subject.config, fresh.config)) {
    (change.needs_restart ? by_restart : by_reload).push_back(change.key);
  }
  const auto changed = [&](const std::vector<std::string>& keys, const char* mend) {
    if (keys.empty()) return;
    findings.push_back(warn(kConfiguration, subject.config_file,
                            "it is good, but the agent goes by other values of " + join(keys, ", "),
                            mend));
  };
  changed(by_restart, "systemctl restart wherryd: containers run on");
  changed(by_reload, "systemctl reload wherryd");
  if (!findings.empty()) return findings;
  return {ok(kConfiguration, subject.config_file, "it is good")};
}

Findings look_at_permissions(const Scene& scene) {
  const Config& config = scene.config();
  Findings findings;
  if (geteuid() != 0) {
    findings.push_back(failed(kPermissions, "",
                              "this is not root: containers cannot be run, nor all of this be seen",
                              "run it as root (sudo)"));
  }
  look_at_secret("mqtt.password_file", config.mqtt.password_file, findings);
  look_at_secret("mqtt.key_file", config.mqtt.key_file, findings);
  look_at_secret("pin-source of mqtt.key_file", pin_file_of(config.mqtt.key_file), findings);
  look_at_secret("api.token_file", config.api.token_file, findings);
  look_at_secret("images.docker_config", config.images.docker_config, findings);
  const std::string& file = scene.subject->config_file;
  const std::string beside = std::filesystem::absolute(file).parent_path();
  look_at_rule("the configuration", file, findings);
  look_at_rule("the configuration", beside, findings);
  look_at_rule("who may sign a broker's certificate", config.mqtt.ca_file, findings);
  std::vector<std::pair<std::string, std::string>> rules{
      {"the configuration", beside + "/wherry.d"},
      {"what runs here", config.manifests.dir},
      {"whose signatures count", config.security.trusted_keys_dir},
      {"which images are imported", config.images.preload_dir},
      {"where images come from", config.images.hosts_dir},
      {"what is run for the network", config.network.cni_bin_dir},
      {"how the network is made", config.network.cni_conf_dir}};
  for (const auto& [what, directory] : rules) look_at_rules(what, directory, findings);
  if (is_file_path(config.images.credential_helper)) {
    look_at_rule("what is run for credentials", config.images.credential_helper, findings);
    rules.emplace_back("what is run for credentials", config.images.credential_helper);
  }
  rules.emplace_back("who may sign a broker's certificate", config.mqtt.ca_file);
  look_at_ways(rules, findings);
  look_at_state_dir(scene, findings);
  const bool all_well = findings.empty();
  look_at_socket(scene, findings);
  if (all_well) {
    findings.push_back(ok(kPermissions, "", "files are for those only who need them"));
  }
  return findings;
}

}  // namespace wherry::check
