#include "runtime/volume/pod_files.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/files.h"
#include "base/text.h"

namespace wherry::runtime {
namespace {

constexpr std::string_view kNameserver = "nameserver";

// The address of a nameserver line, or empty for any other line.
std::string_view nameserver_of(std::string_view line) {
  line = trim(line);
  if (!line.starts_with(kNameserver)) return {};
  line.remove_prefix(kNameserver.size());
  if (line.empty() || (line.front() != ' ' && line.front() != '\t')) return {};
  line = trim(line);
  return line.substr(0, line.find_first_of(" \t#;"));
}

bool only_on_host(std::string_view address) {
  return address.starts_with("127.") || address == "::1" || address == "localhost" ||
         address.find('%') != std::string_view::npos;
}

}  // namespace

std::string make_hosts(const std::string& hostname, const std::string& ip) {
  std::string text =
      "127.0.0.1\tlocalhost\n"
      "::1\tlocalhost ip6-localhost ip6-loopback\n"
      "fe00::\tip6-localnet\n"
      "ff02::1\tip6-allnodes\n"
      "ff02::2\tip6-allrouters\n";
  if (!ip.empty() && !hostname.empty()) text += ip + "\t" + hostname + "\n";
  return text;
}

PodResolvConf make_resolv_conf(const std::string& host_text) {
  PodResolvConf result;
  for (const std::string& line : split(host_text, '\n')) {
    const std::string_view address = nameserver_of(line);
    if (!address.empty() && only_on_host(address)) {
      ++result.removed;
      continue;
    }
    if (!address.empty()) ++result.usable;
    result.text += line;
    result.text += '\n';
  }
  // split() yields an empty last line after the final newline.
  while (result.text.ends_with("\n\n")) result.text.pop_back();
  return result;
}

Status write_in_place(const std::string& path, const std::string& text) {
  const Result<std::string> present = read_file(path, text.size() + 1);
  if (present && *present == text) return {};
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
  if (fd < 0) return fail(Code::Internal, "write " + path + ": " + std::strerror(errno));
  size_t done = 0;
  int error = fchmod(fd, 0644) == 0 ? 0 : errno;  // whatever the agent's umask is
  while (error == 0 && done < text.size()) {
    const ssize_t written = write(fd, text.data() + done, text.size() - done);
    if (written >= 0) {
      done += static_cast<size_t>(written);
    } else if (errno != EINTR) {
      error = errno;
    }
  }
  close(fd);
  if (error == 0) return {};
  return fail(error == ENOSPC ? Code::ResourceExhausted : Code::Internal,
              "write " + path + ": " + std::strerror(error));
}

}  // namespace wherry::runtime
