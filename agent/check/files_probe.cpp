// The configuration, and who may read and change the files that matter.
#include <cerrno>
#include <cstring>
#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/check/probes.h"
#include "base/text.h"

namespace wherry::check {
namespace {

constexpr const char* kConfiguration = "configuration";
constexpr const char* kPermissions = "permissions";

bool is_file_path(const std::string& path) { return path.starts_with('/'); }

// What keeps a secret: for its owner and group only.
void look_at_secret(const std::string& key, const std::string& path, Findings& findings) {
  if (!is_file_path(path)) return;
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) {
    findings.push_back(failed(kPermissions, path, key + " cannot be read: " + std::strerror(errno),
                              "put the file there, or correct " + key));
  } else if ((info.st_mode & S_IRWXO) != 0) {
    findings.push_back(failed(kPermissions, path, "everybody may read what " + key + " keeps",
                              "chmod o= " + path + ", and change the secret: it may be known"));
  } else if (!S_ISREG(info.st_mode)) {
    findings.push_back(failed(kPermissions, path, key + " names no file",
                              "correct " + key + " in the configuration"));
  }
}

// What decides about the device: for root to change only.
void look_at_rule(const std::string& what, const std::string& path, Findings& findings) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return;  // what must be there is looked at elsewhere
  if ((info.st_mode & S_IWOTH) != 0 && (info.st_mode & S_ISVTX) == 0) {
    findings.push_back(
        failed(kPermissions, path, "everybody may change " + what, "chmod o-w " + path));
  } else if (info.st_uid != 0 && info.st_uid != geteuid()) {
    findings.push_back(
        warn(kPermissions, path,
             "user " + std::to_string(info.st_uid) + " owns it and may change " + what,
             "chown root " + path));
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
  for (const ConfigIssue& issue : fresh.errors) {
    findings.push_back(failed(kConfiguration, subject.config_file, to_string(issue),
                              "correct it; wherryd --check-config says when it is good"));
  }
  if (!findings.empty()) return findings;
  std::vector<std::string> changed;
  for (const ConfigChange& change : config_changes(subject.config, fresh.config)) {
    changed.push_back(change.key + (change.needs_restart ? "" : " (by a reload)"));
  }
  if (changed.empty()) return {ok(kConfiguration, subject.config_file, "it is good")};
  return {warn(kConfiguration, subject.config_file,
               "it is good, but changed since wherryd began to run: " + join(changed, ", "),
               "systemctl restart wherryd: containers run on")};
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
  look_at_rule("the configuration", scene.subject->config_file, findings);
  look_at_rule("what runs here", config.manifests.dir, findings);
  look_at_rule("whose signatures count", config.security.trusted_keys_dir, findings);
  look_at_rule("what is run for the network", config.network.cni_bin_dir, findings);
  look_at_rule("how the network is made", config.network.cni_conf_dir, findings);
  if (is_file_path(config.images.credential_helper)) {
    look_at_rule("what is run for credentials", config.images.credential_helper, findings);
  }
  look_at_state_dir(scene, findings);
  const bool all_well = findings.empty();
  look_at_socket(scene, findings);
  if (all_well) {
    findings.push_back(ok(kPermissions, "", "files are for those only who need them"));
  }
  return findings;
}

}  // namespace wherry::check
