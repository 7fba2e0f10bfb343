#include "runtime/volume/pod_files.h"

#include <algorithm>
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
constexpr size_t kMaxNameservers = 3;  // MAXNS of <resolv.h>

// What follows the keyword, or empty for any other line.
std::string_view value_of(std::string_view line, std::string_view keyword) {
  line = trim(line);
  if (!line.starts_with(keyword)) return {};
  line.remove_prefix(keyword.size());
  if (line.empty() || (line.front() != ' ' && line.front() != '\t')) return {};
  return trim(line);
}

// The address of a nameserver line, or empty for any other line.
std::string_view nameserver_of(std::string_view line) {
  line = value_of(line, kNameserver);
  return line.substr(0, line.find_first_of(" \t#;"));
}

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  for (size_t begin = text.find_first_not_of(" \t"); begin != std::string_view::npos;
       begin = text.find_first_not_of(" \t")) {
    const size_t end = std::min(text.find_first_of(" \t", begin), text.size());
    words.emplace_back(text.substr(begin, end - begin));
    text.remove_prefix(end);
  }
  return words;
}

void add_new(std::vector<std::string>& all, const std::string& text) {
  if (std::find(all.begin(), all.end(), text) == all.end()) all.push_back(text);
}

std::string name_of_option(const std::string& option) { return option.substr(0, option.find(':')); }

void put_option(std::vector<std::string>& options, const std::string& option) {
  for (std::string& present : options) {
    if (name_of_option(present) != name_of_option(option)) continue;
    present = option;
    return;
  }
  options.push_back(option);
}

std::string line_of(const char* keyword, const std::vector<std::string>& words) {
  if (words.empty()) return {};
  std::string line = keyword;
  for (const std::string& word : words) line += " " + word;
  return line + "\n";
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

std::string make_aliases(const std::vector<HostAlias>& aliases) {
  std::string text;
  for (const HostAlias& alias : aliases) {
    text += alias.ip;
    for (const std::string& name : alias.hostnames) text += "\t" + name;
    text += '\n';
  }
  return text;
}

std::string with_dns(const std::string& text, const PodDns& dns) {
  if (dns == PodDns()) return text;
  std::vector<std::string> servers, searches, options, others;
  for (const std::string& line : split(dns.of_device ? text : std::string(), '\n')) {
    if (const std::string_view server = nameserver_of(line); !server.empty()) {
      add_new(servers, std::string(server));
    } else if (const std::string_view list = value_of(line, "search"); !list.empty()) {
      searches = words_of(list);  // the last line holds
    } else if (const std::string_view domain = value_of(line, "domain"); !domain.empty()) {
      searches = words_of(domain);
    } else if (const std::string_view named = value_of(line, "options"); !named.empty()) {
      for (const std::string& option : words_of(named)) put_option(options, option);
    } else if (!trim(line).empty()) {
      others.push_back(line);
    }
  }
  for (const std::string& server : dns.nameservers) add_new(servers, server);
  for (const std::string& search : dns.searches) add_new(searches, search);
  for (const std::string& option : dns.options) put_option(options, option);
  if (servers.size() > kMaxNameservers) servers.resize(kMaxNameservers);
  std::string result;
  for (const std::string& other : others) result += other + "\n";
  for (const std::string& server : servers) result += "nameserver " + server + "\n";
  return result + line_of("search", searches) + line_of("options", options);
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
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
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
  // Cut only now: a reader in between never finds the file empty.
  if (error == 0 && ftruncate(fd, static_cast<off_t>(done)) != 0) error = errno;
  close(fd);
  if (error == 0) return {};
  return fail(error == ENOSPC ? Code::ResourceExhausted : Code::Internal,
              "write " + path + ": " + std::strerror(error));
}

}  // namespace wherry::runtime
