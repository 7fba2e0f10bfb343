#include "runtime/log/container_log.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <dirent.h>

#include "base/files.h"
#include "runtime/log/log_reader.h"

namespace wherry::runtime {
namespace {

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
  return make_directories(options_.log_dir + "/" + pod, 0750);
}

Status ContainerLogs::remove(const std::string& pod) {
  if (Status ok = check_name(pod); !ok) return ok;
  if (options_.before_removal) options_.before_removal(pod);
  return remove_tree(options_.log_dir + "/" + pod);
}

Result<std::vector<std::string>> ContainerLogs::list() {
  std::vector<std::string> pods;
  DIR* directory = opendir(options_.log_dir.c_str());
  if (directory == nullptr) {
    if (errno == ENOENT) return pods;
    return fail(Code::Internal, "open " + options_.log_dir + ": " + std::strerror(errno));
  }
  while (const dirent* entry = readdir(directory)) {
    if (is_name(entry->d_name)) pods.emplace_back(entry->d_name);
  }
  closedir(directory);
  std::sort(pods.begin(), pods.end());
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
