// The configuration, and who may read and change the files that matter.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <grp.h>
#include <optional>
#include <set>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

#include "agent/check/probes.h"
#include "agent/signing/keys.h"
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

std::string group_name(gid_t id) {
  struct group entry {};
  struct group* found = nullptr;
  char buffer[4096];
  if (getgrgid_r(id, &entry, buffer, sizeof buffer, &found) != 0 || found == nullptr) {
    return std::to_string(id);
  }
  return entry.gr_name;
}

// Whether something is said of this path already.
bool is_said(const std::string& path, const Findings& findings) {
  return std::any_of(findings.begin(), findings.end(),
                     [&path](const Finding& each) { return each.about == path; });
}

// Who besides root may do `what`: change this file, or what is in this directory.
std::optional<Finding> change_by_others(const std::string& path, const struct stat& info,
                                        bool sticky, const std::string& what) {
  if ((info.st_mode & S_IWOTH) != 0 && !sticky) {
    return failed(kPermissions, path, "everybody may " + what, "chmod o-w " + path);
  }
  if ((info.st_mode & S_IWGRP) != 0 && info.st_gid != 0 && !sticky) {
    return warn(kPermissions, path, "the group " + group_name(info.st_gid) + " may " + what,
                "chmod g-w " + path);
  }
  if (info.st_uid != 0 && info.st_uid != geteuid()) {
    return warn(kPermissions, path,
                "user " + std::to_string(info.st_uid) + " owns it and may " + what,
                "chown root " + path);
  }
  return std::nullopt;
}

// What decides about the device: for root to change only.
void look_at_rule(const std::string& what, const std::string& path, Findings& findings) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return;  // what must be there is looked at elsewhere
  if (auto found = change_by_others(path, info, false, "change " + what)) {
    findings.push_back(std::move(*found));
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
      if (stat(way.c_str(), &info) != 0 || is_said(way, findings)) continue;
      if (auto found = change_by_others(
              way, info, (info.st_mode & S_ISVTX) != 0,
              "put something else in the place of " + path + ", which says " + what)) {
        findings.push_back(std::move(*found));
      }
    }
  }
}

// The agent refuses a token that somebody could replace.
void look_at_token_directory(const std::string& token_file, Findings& findings) {
  if (!is_file_path(token_file)) return;
  const auto fault = rule_directory_fault(directory_of(token_file));
  if (!fault) return;
  // A warning says less of it.
  std::erase_if(findings, [&](const Finding& each) {
    return each.about == fault->path && each.level == Level::Warn;
  });
  if (is_said(fault->path, findings)) return;
  findings.push_back(failed(kPermissions, fault->path,
                            fault->what + ": api.token_file, which is in it, is not used",
                            fault->command));
}

// One of the keys that messages are checked with, as the agent does it. True where it counts.
bool look_at_key(const std::string& path, Findings& findings) {
  if (const auto fault = rule_file_fault(path)) {
    findings.push_back(failed(kPermissions, path,
                              "the key " + fault->what + ": what it signed is refused",
                              fault->command));
    return false;
  }
  const auto key = read_public_key(path);
  if (key) return true;
  // "<file> holds no …; make it by …"
  std::string seen = key.error().full();
  if (seen.starts_with(path + " ")) seen.erase(0, path.size() + 1);
  const size_t mend = seen.find("; ");
  findings.push_back(failed(kPermissions, path,
                            seen.substr(0, mend) + ": what it signed is refused",
                            mend == std::string::npos ? "put the public key there, or remove it"
                                                      : seen.substr(mend + 2)));
  return false;
}

void look_at_keys(const Config& config, Findings& findings) {
  const std::string& directory = config.security.trusted_keys_dir;
  const bool required = config.security.require_signature;
  struct stat info {};
  if (stat(directory.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) {
    if (!required) return;
    findings.push_back(failed(kPermissions, directory,
                              "there is no such directory, and security.require_signature is true: "
                              "every document and command of the fleet is refused",
                              "make it, and put the public keys of those who may sign into it"));
    return;
  }
  if (const auto fault = rule_directory_fault(directory)) {
    findings.push_back(failed(kPermissions, directory,
                              fault->what + ": no key in it counts, and what is signed is refused",
                              fault->command));
    return;
  }
  bool any = false;
  const size_t before = findings.size();
  std::error_code error;
  std::filesystem::directory_iterator each(directory, error), end;
  for (size_t count = 0; !error && each != end && count < kMostEntries; each.increment(error)) {
    ++count;
    const std::string path = each->path(), name = each->path().filename();
    if (is_key_file_name(name)) {
      any = look_at_key(path, findings) || any;
    } else if (holds_private_key(path)) {
      findings.push_back(failed(kPermissions, path,
                                "holds a private key, which has no place on a device",
                                "remove it, and make another pair: it may be known"));
    }
    if (findings.size() - before >= kMostOfOneKind) return;
  }
  if (!required || any || findings.size() > before) return;
  findings.push_back(failed(kPermissions, directory,
                            "there is no key in it, and security.require_signature is true: every "
                            "document and command of the fleet is refused",
                            "put the public keys of those who may sign into it, as <name>.pem"));
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
  look_at_keys(config, findings);
  const std::string& file = scene.subject->config_file;
  const std::string beside = std::filesystem::absolute(file).parent_path();
  look_at_rule("the configuration", file, findings);
  look_at_rule("the configuration", beside, findings);
  look_at_rule("who may sign a broker's certificate", config.mqtt.ca_file, findings);
  std::vector<std::pair<std::string, std::string>> rules{
      {"the configuration", beside + "/wherry.d"},
      {"what runs here", config.manifests.dir},
      {"which images are imported", config.images.preload_dir},
      {"where images come from", config.images.hosts_dir},
      {"what is run for the network", config.network.cni_bin_dir},
      {"how the network is made", config.network.cni_conf_dir}};
  for (const auto& [what, directory] : rules) look_at_rules(what, directory, findings);
  if (is_file_path(config.images.credential_helper)) {
    look_at_rule("what is run for credentials", config.images.credential_helper, findings);
    rules.emplace_back("what is run for credentials", config.images.credential_helper);
  }
  rules.insert(rules.end(), {{"who may sign a broker's certificate", config.mqtt.ca_file},
                             {"whose signatures count", config.security.trusted_keys_dir},
                             {"what password the broker is shown", config.mqtt.password_file},
                             {"what the device's key is", config.mqtt.key_file},
                             {"what PIN opens the device's key", pin_file_of(config.mqtt.key_file)},
                             {"who may use the API", config.api.token_file},
                             {"what registries are shown", config.images.docker_config}});
  look_at_token_directory(config.api.token_file, findings);
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
