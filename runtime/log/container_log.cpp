#include "runtime/log/container_log.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <dirent.h>

#include "base/failpoint.h"
#include "base/files.h"
#include "runtime/log/log_reader.h"

namespace wherry::runtime {
namespace {

// Before the name of a Pod whose logs are being removed; no Pod's name begins with a dot.
constexpr std::string_view kGone = ".gone-";

bool is_name(const std::string& name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string::npos;
}

Status check_name(const std::string& name) {
  if (is_name(name)) return {};
  return fail(Code::InvalidArgument, "\"" + name + "\" cannot name a log");
}

// RFC 3986 section 2.3 and the slash, which a query may hold as it is.
std::string percent_encode(const std::string& text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~' || c == '/';
    if (plain) {
      out += c;
    } else {
      out += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return out;
}

}  // namespace

ContainerLogs::ContainerLogs(LogOptions options) : options_(std::move(options)) {}

std::string ContainerLogs::stdio_uri(const std::string& pod, const std::string& container) const {
  return "binary://" + percent_encode(options_.logger_path) +
         "?file=" + percent_encode(options_.log_dir + "/" + pod + "/" + container + ".log") +
         "&max=" + std::to_string(options_.max_bytes);
}

Status ContainerLogs::prepare(const std::string& pod) {
  if (Status ok = check_name(pod); !ok) return ok;
  Status made = make_directories(options_.log_dir + "/" + pod, 0750);
  if (made && options_.prepared) options_.prepared(pod);
  return made;
}

Status ContainerLogs::remove(const std::string& pod) {
  if (Status ok = check_name(pod); !ok) return ok;
  if (options_.before_removal) {
    if (Status ok = options_.before_removal(pod); !ok) return ok;
  }
  // In one step: half of a log would look like one of another Pod of that name.
  const std::string gone = options_.log_dir + "/" + std::string(kGone) + pod;
  if (Status removed = remove_tree(gone); !removed) return removed;
  const std::string logs = options_.log_dir + "/" + pod;
  if (rename(logs.c_str(), gone.c_str()) != 0 && errno != ENOENT) {
    return fail(Code::Internal, "remove " + logs + ": " + std::strerror(errno));
  }
  if (Status ok = failpoint("logs.remove.renamed"); !ok) return ok;
  return remove_tree(gone);
}

Result<std::vector<std::string>> ContainerLogs::list() {
  std::vector<std::string> pods;
  DIR* directory = opendir(options_.log_dir.c_str());
  if (directory == nullptr) {
    if (errno == ENOENT) return pods;
    return fail(Code::Internal, "open " + options_.log_dir + ": " + std::strerror(errno));
  }
  while (const dirent* entry = readdir(directory)) {
    std::string_view name = entry->d_name;
    if (name.starts_with(kGone)) name.remove_prefix(kGone.size());
    if (is_name(std::string(name))) pods.emplace_back(name);
  }
  closedir(directory);
  std::sort(pods.begin(), pods.end());
  pods.erase(std::unique(pods.begin(), pods.end()), pods.end());
  return pods;
}

Status ContainerLogs::read(const LogQuery& query, const LineSink& sink, CancelToken cancel) {
  if (Status ok = check_name(query.pod); !ok) return ok;
  if (!query.container.empty()) {
    if (Status ok = check_name(query.container); !ok) return ok;
  }
  LogReader reader(options_.log_dir + "/" + query.pod, query, sink, std::move(cancel));
  return reader.run();
}

}  // namespace wherry::runtime
