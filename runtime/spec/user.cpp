#include "runtime/spec/user.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <fcntl.h>
#include <linux/openat2.h>
#include <optional>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/text.h"

namespace wherry::runtime {
namespace {

constexpr size_t kMaxDatabase = 1 << 20;  // an image's passwd is its author's: bound it

tl::unexpected<Error> config_error(std::string message) {
  return fail(Code::InvalidArgument, std::move(message), "CreateContainerConfigError");
}

std::optional<uint32_t> as_id(std::string_view text) {
  uint32_t id = 0;
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, id);
  if (text.empty() || error != std::errc() || at != end) return std::nullopt;
  return id;
}

// The file inside the root; links are resolved as if it were "/" (openat2, RESOLVE_IN_ROOT).
// Empty where it is missing: an image without /etc/passwd is normal.
std::string read_inside(const std::string& rootfs, const char* path) {
  const int root = open(rootfs.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (root < 0) return {};
  open_how how{};
  how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  const long opened = syscall(SYS_openat2, root, path, &how, sizeof how);
  close(root);
  if (opened < 0) return {};
  const int fd = static_cast<int>(opened);
  std::string text;
  char buffer[4096];
  while (text.size() < kMaxDatabase) {
    const ssize_t got = read(fd, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    text.append(buffer, static_cast<size_t>(got));
  }
  close(fd);
  return text;
}

// Colon-separated fields of each line (passwd(5), group(5)). split() drops nothing in between.
std::vector<std::vector<std::string>> records(const std::string& text) {
  std::vector<std::vector<std::string>> all;
  for (const std::string& line : split(text, '\n')) {
    if (line.empty() || line[0] == '#') continue;
    all.push_back(split(line, ':'));
  }
  return all;
}

struct Databases {
  std::vector<std::vector<std::string>> passwd;
  std::vector<std::vector<std::string>> group;
};

struct Found {
  std::string name;  // empty where the uid has no entry
  uint32_t uid = 0;
  uint32_t gid = 0;
};

std::optional<Found> find_user(const Databases& db, const std::string& user) {
  const std::optional<uint32_t> wanted = as_id(user);
  for (const auto& fields : db.passwd) {
    if (fields.size() < 4) continue;
    const auto uid = as_id(fields[2]);
    const auto gid = as_id(fields[3]);
    if (!uid || !gid) continue;
    if (fields[0] == user || (wanted && *uid == *wanted)) return Found{fields[0], *uid, *gid};
  }
  if (wanted) return Found{"", *wanted, 0};
  if (user == "root") return Found{"root", 0, 0};
  return std::nullopt;
}

std::optional<uint32_t> find_group(const Databases& db, const std::string& group) {
  if (const auto id = as_id(group)) return id;
  for (const auto& fields : db.group) {
    if (fields.size() >= 3 && fields[0] == group) return as_id(fields[2]);
  }
  if (group == "root") return 0;
  return std::nullopt;
}

void add_memberships(const Databases& db, const std::string& user, std::vector<uint32_t>& gids) {
  if (user.empty()) return;
  for (const auto& fields : db.group) {
    if (fields.size() < 4) continue;
    const std::vector<std::string> members = split(fields[3], ',');
    const auto gid = as_id(fields[2]);
    if (gid && std::find(members.begin(), members.end(), user) != members.end()) {
      gids.push_back(*gid);
    }
  }
}

Result<uint32_t> checked_id(int64_t id, const char* what) {
  if (id < 0 || id > INT32_MAX) {
    return config_error(std::string(what) + " " + std::to_string(id) + " is out of range");
  }
  return static_cast<uint32_t>(id);
}

std::string user_part(const SecurityContext& security, const std::string& image_user) {
  if (security.run_as_user) return std::to_string(*security.run_as_user);
  const std::string user = image_user.substr(0, image_user.find(':'));
  return user.empty() ? "0" : user;
}

std::string group_part(const SecurityContext& security, const std::string& image_user) {
  if (security.run_as_group) return std::to_string(*security.run_as_group);
  const size_t colon = image_user.find(':');
  if (security.run_as_user || colon == std::string::npos) return {};
  return image_user.substr(colon + 1);
}

}  // namespace

bool needs_rootfs(const ContainerSpec& container, const ImageConfig& image) {
  const std::string user = user_part(container.security, image.user);
  const std::string group = group_part(container.security, image.user);
  const bool group_known = group.empty() || group == "root" || as_id(group);
  return !((user == "0" || user == "root") && group_known);
}

Result<ProcessUser> resolve_user(const SecurityContext& security, const std::string& image_user,
                                 const std::string& rootfs) {
  if (security.run_as_user) {
    if (const auto id = checked_id(*security.run_as_user, "runAsUser"); !id)
      return fail(id.error());
  }
  if (security.run_as_group) {
    if (const auto id = checked_id(*security.run_as_group, "runAsGroup"); !id)
      return fail(id.error());
  }
  Databases db;
  if (!rootfs.empty()) {
    db.passwd = records(read_inside(rootfs, "etc/passwd"));
    db.group = records(read_inside(rootfs, "etc/group"));
  }
  const std::string user = user_part(security, image_user);
  const std::optional<Found> found = find_user(db, user);
  if (!found) {
    return config_error("user \"" + user + "\" is not in the image's /etc/passwd: give a number " +
                        "in securityContext.runAsUser");
  }
  if (security.run_as_non_root && found->uid == 0) {
    return config_error("runAsNonRoot is set and the container would run as root: set runAsUser");
  }
  ProcessUser result{found->uid, found->gid, {}};
  if (const std::string group = group_part(security, image_user); !group.empty()) {
    const std::optional<uint32_t> gid = find_group(db, group);
    if (!gid) return config_error("group \"" + group + "\" is not in the image's /etc/group");
    result.gid = *gid;
  }
  if (!security.strict_groups) add_memberships(db, found->name, result.additional_gids);
  for (const int64_t group : security.supplemental_groups) {
    const Result<uint32_t> gid = checked_id(group, "supplemental group");
    if (!gid) return fail(gid.error());
    result.additional_gids.push_back(*gid);
  }
  auto& gids = result.additional_gids;
  std::sort(gids.begin(), gids.end());
  gids.erase(std::unique(gids.begin(), gids.end()), gids.end());
  return result;
}

}  // namespace wherry::runtime
