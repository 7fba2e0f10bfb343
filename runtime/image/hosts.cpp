#include "runtime/image/hosts.h"

#include <algorithm>
#include <array>
#include <dirent.h>
#include <memory>
#include <sys/stat.h>

#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1
#define TOML_ENABLE_FORMATTERS 0
// On some malformed input what toml++ 3.3 asserts, or has the compiler assume, does not hold. It
// reports those mistakes properly as long as nothing is made of the assumption.
#define TOML_ASSERT(expr) static_assert(true)
#pragma push_macro("NDEBUG")
#undef NDEBUG
#include <toml++/toml.h>
#pragma pop_macro("NDEBUG")

#include "base/files.h"
#include "base/text.h"
#include "runtime/image/url.h"

namespace wherry::runtime {
namespace {

struct File {
  const std::string& path;

  tl::unexpected<Error> bad(const toml::source_region& where, std::string_view why) const {
    return fail(Code::FailedPrecondition,
                path + ":" + std::to_string(where.begin.line) + ": " + printable(why, 500));
  }
  std::string beside(const std::string& name) const {
    if (name.starts_with("/")) return name;
    const size_t slash = path.rfind('/');
    return slash == std::string::npos ? name : path.substr(0, slash + 1) + name;
  }
};

constexpr std::array<std::string_view, 7> kHostKeys{
    "capabilities", "ca", "skip_verify", "client", "override_path", "header", "dial_timeout"};
constexpr std::array<std::string_view, 9> kTopKeys{
    "server", "host",          "capabilities", "ca",          "skip_verify",
    "client", "override_path", "header",       "dial_timeout"};

// RFC 9110 section 5.1 and 5.5.
constexpr std::string_view kTokenChars =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-.^_`|~";
constexpr Duration kShortestDial = std::chrono::milliseconds(10);
constexpr Duration kLongestDial = std::chrono::minutes(5);
constexpr std::string_view kLineEnds("\r\n\0", 3);

// toml++ 3.3 runs into undefined behaviour on some characters that are not ASCII, so it is given
// none: in comments they become '?', and anywhere else they are a mistake, told by its line. Within
// quotes that span lines a '#' is not told from a comment: there they are a mistake anywhere.
Result<std::string> ascii_only(std::string_view text, const std::string& path) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  const bool comments =
      text.find("\"\"\"") == std::string_view::npos && text.find("'''") == std::string_view::npos;
  std::string plain(text);
  size_t line = 1;
  char within = 0;  // the quote, or '#'
  for (size_t i = 0; i < plain.size(); ++i) {
    const char c = plain[i];
    const auto byte = static_cast<unsigned char>(c);  // char has no sign on ARM
    if (c == '\n') {
      ++line;
      within = 0;
    } else if ((byte < ' ' && c != '\t' && c != '\r') || byte == 0x7f) {
      // Not TOML (TOML 1.0, "Comment" and "String"), and more than toml++ is ready for.
      return fail(Code::FailedPrecondition,
                  path + ":" + std::to_string(line) + ": holds a control character");
    } else if (byte >= 0x80) {
      if (within != '#' || !comments) {
        return fail(Code::FailedPrecondition,
                    path + ":" + std::to_string(line) +
                        ": letters other than a to z may stand in comments only; within double "
                        "quotes write them as \\u and four hexadecimal digits");
      }
      plain[i] = '?';
    } else if (within == 0 && (c == '"' || c == '\'' || c == '#')) {
      within = c;
    } else if (within == '"' && c == '\\') {
      if (i + 1 < plain.size() && plain[i + 1] != '\n') ++i;
    } else if (c == within && c != '#') {
      within = 0;
    }
  }
  return plain;
}

// toml++ quotes the name of a table that is there twice, and hosts are such names.
tl::unexpected<Error> not_toml(const File& file, const toml::parse_error& error) {
  std::string what(error.description());
  const size_t begin = what.find('\''), end = what.rfind('\'');
  if (what.find("cannot ") != std::string::npos && begin < end) {
    what.replace(begin + 1, end - begin - 1,
                 url_without_secrets(what.substr(begin + 1, end - begin - 1)));
  }
  return file.bad(error.source(), what);
}

bool has_directory(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

// "https://host[:port][/path]" with the API's /v2 behind it unless the path replaces it. `host` may
// lack the scheme, as containerd allows.
Result<std::string> base_url(const File& file, const toml::source_region& where,
                             const std::string& written, bool override_path) {
  std::string url = written;
  const std::string shown = url_without_secrets(written);
  const char* const mend =
      written.find('@') == std::string::npos
          ? ""
          : ": user and password have no place in it; give them by images.docker_config";
  const size_t scheme = url.find("://");
  if (scheme == std::string::npos) {
    url.insert(0, is_loopback_host(url.substr(0, url.find('/'))) ? "http://" : "https://");
  } else if (!url.starts_with("http://") && !url.starts_with("https://")) {
    return file.bad(where, "\"" + shown + "\" must start with https:// or http://");
  }
  const size_t host = url.find("://") + 3;
  while (url.size() > host && url.ends_with("/")) url.pop_back();
  if (host >= url.size() || url.find_first_of("@?# \t", host) != std::string::npos) {
    return file.bad(where, "\"" + shown + "\" is not the URL of a host" + mend);
  }
  // Here rather than in the middle of a pull.
  if (!parse_url(url)) return file.bad(where, "\"" + shown + "\" is not the URL of a host" + mend);
  if (!override_path && !url.ends_with("/v2")) url += "/v2";
  return url;
}

Status read_capabilities(const File& file, const toml::node& node, RegistryHost& host) {
  const toml::array* list = node.as_array();
  if (list == nullptr) return file.bad(node.source(), "capabilities must be a list");
  host.resolve = host.pull = false;
  for (const toml::node& item : *list) {
    const std::string name = item.value_or(std::string());
    if (name == "resolve") host.resolve = true;
    if (name == "pull") host.pull = true;
    if (name == "resolve" || name == "pull" || name == "push") continue;
    return file.bad(item.source(), "a capability is one of \"pull\", \"resolve\", \"push\"");
  }
  return {};
}

Status read_ca(const File& file, const toml::node& node, RegistryHost& host) {
  host.tls.ca_files.clear();
  if (const auto* one = node.as_string()) {
    host.tls.ca_files.push_back(file.beside(one->get()));
    return {};
  }
  const toml::array* list = node.as_array();
  if (list == nullptr) return file.bad(node.source(), "ca must be a file name or a list of them");
  for (const toml::node& item : *list) {
    if (!item.is_string()) return file.bad(item.source(), "ca must hold file names");
    host.tls.ca_files.push_back(file.beside(item.as_string()->get()));
  }
  return {};
}

// As containerd reads it: "both.pem", a list of such files, or of pairs ["cert.pem", "key.pem"].
Status read_client(const File& file, const toml::node& node, RegistryHost& host) {
  const auto both = [&](const toml::value<std::string>& name) {
    host.tls.clients.push_back({file.beside(name.get()), file.beside(name.get())});
  };
  host.tls.clients.clear();
  if (const auto* one = node.as_string()) return both(*one), Status();
  const toml::array* list = node.as_array();
  const char* const form = "client must be \"cert-and-key.pem\" or [[\"cert\", \"key\"]]";
  if (list == nullptr) return file.bad(node.source(), form);
  for (const toml::node& item : *list) {
    if (const auto* one = item.as_string()) {
      both(*one);
      continue;
    }
    const toml::array* pair = item.as_array();
    const bool strings = pair != nullptr && (pair->size() == 1 || pair->size() == 2) &&
                         pair->get(0)->is_string() && pair->get(pair->size() - 1)->is_string();
    if (!strings) return file.bad(item.source(), form);
    host.tls.clients.push_back({file.beside(pair->get(0)->as_string()->get()),
                                file.beside(pair->get(pair->size() - 1)->as_string()->get())});
  }
  return {};
}

Status read_headers(const File& file, const toml::node& node, RegistryHost& host) {
  const toml::table* table = node.as_table();
  if (table == nullptr) return file.bad(node.source(), "header must be a table");
  const auto add = [&](std::string_view key, const toml::node& value) -> Status {
    const auto* text = value.as_string();
    if (text == nullptr || text->get().find_first_of(kLineEnds) != std::string::npos) {
      return file.bad(value.source(), "a header must be one line of text");
    }
    if (key.empty() || key.find_first_not_of(kTokenChars) != std::string_view::npos) {
      // A whole "Name: value" may have been written there, and the value is a secret mostly.
      return file.bad(value.source(), "\"" + std::string(key.substr(0, key.find_first_of(": "))) +
                                          "…\" is not a header's name; write Name = \"value\"");
    }
    host.headers.emplace_back(key, text->get());
    return {};
  };
  for (auto&& [key, value] : *table) {
    const toml::array* several = value.as_array();
    if (several == nullptr) {
      if (Status added = add(key.str(), value); !added) return added;
      continue;
    }
    for (const toml::node& item : *several) {
      if (Status added = add(key.str(), item); !added) return added;
    }
  }
  return {};
}

// As Go writes a duration (containerd 2: docs/hosts.md, "dial_timeout").
Status read_dial_timeout(const File& file, const toml::node& node, RegistryHost& host) {
  const auto* text = node.as_string();
  const auto duration = parse_duration(text == nullptr ? std::string() : text->get());
  if (!duration || *duration < kShortestDial || *duration > kLongestDial) {
    return file.bad(node.source(), "dial_timeout must be a duration such as \"3s\", of 10ms to 5m");
  }
  host.dial_timeout = *duration;
  return {};
}

// The settings of one host; for the top level these are the server's own.
Status read_host(const File& file, const toml::table& table, bool top, RegistryHost& host,
                 bool& override_path) {
  for (auto&& [key, value] : table) {
    const std::string_view name = key.str();
    if (top && (name == "server" || name == "host")) continue;
    Status read;
    if (name == "capabilities") {
      read = read_capabilities(file, value, host);
    } else if (name == "ca") {
      read = read_ca(file, value, host);
    } else if (name == "client") {
      read = read_client(file, value, host);
    } else if (name == "header") {
      read = read_headers(file, value, host);
    } else if (name == "dial_timeout") {
      read = read_dial_timeout(file, value, host);
    } else if (name == "skip_verify" || name == "override_path") {
      const auto* flag = value.as_boolean();
      if (flag == nullptr) {
        return file.bad(value.source(), std::string(name) + " must be true or false");
      }
      (name == "skip_verify" ? host.tls.skip_verify : override_path) = flag->get();
    } else {
      std::string near = top ? nearest(name, kTopKeys) : nearest(name, kHostKeys);
      if (!near.empty()) near = "; did you mean \"" + near + "\"?";
      return file.bad(key.source(),
                      "\"" + url_without_secrets(name) + "\" is not supported" + near);
    }
    if (!read) return read;
  }
  return {};
}

struct NamedHost {
  toml::source_position where;
  std::string url;
  const toml::table* table;
};

// [host."…"] tables in the order they are written.
Result<std::vector<NamedHost>> host_tables(const File& file, const toml::table& root) {
  std::vector<NamedHost> hosts;
  const toml::node* node = root.get("host");
  if (node == nullptr) return hosts;
  const toml::table* table = node->as_table();
  if (table == nullptr)
    return file.bad(node->source(), "host must be tables: [host.\"https://…\"]");
  for (auto&& [key, value] : *table) {
    if (!value.is_table()) return file.bad(key.source(), "a host must be a table");
    hosts.push_back({key.source().begin, std::string(key.str()), value.as_table()});
  }
  std::sort(hosts.begin(), hosts.end(),
            [](const NamedHost& a, const NamedHost& b) { return a.where < b.where; });
  return hosts;
}

RegistryHost default_host(const std::string& host) {
  RegistryHost registry;
  registry.origin = true;
  const std::string scheme = is_loopback_host(host) ? "http://" : "https://";
  registry.base = scheme + (host == "docker.io" ? "registry-1.docker.io" : host) + "/v2";
  return registry;
}

// Docker's layout: *.crt are trusted, *.cert with *.key is our certificate.
Result<std::vector<RegistryHost>> hosts_from_certificates(const std::string& directory,
                                                          const std::string& host) {
  RegistryHost registry = default_host(host);
  const std::unique_ptr<DIR, int (*)(DIR*)> listing(opendir(directory.c_str()), closedir);
  std::vector<std::string> names;
  while (listing) {
    const dirent* entry = readdir(listing.get());
    if (entry == nullptr) break;
    names.emplace_back(entry->d_name);
  }
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) {
    const std::string path = directory + "/" + name;
    if (name.ends_with(".crt")) registry.tls.ca_files.push_back(path);
    if (!name.ends_with(".cert")) continue;
    const std::string key = name.substr(0, name.size() - 5) + ".key";
    if (std::find(names.begin(), names.end(), key) == names.end()) {
      return fail(Code::FailedPrecondition, path + ": the key " + key + " is missing beside it");
    }
    registry.tls.clients.push_back({path, directory + "/" + key});
  }
  return std::vector<RegistryHost>{registry};
}

}  // namespace

bool is_loopback_host(std::string_view host) {
  if (host.starts_with("[")) return host.starts_with("[::1]");
  const std::string_view name = host.substr(0, host.find(':'));
  if (name == "localhost") return true;
  const std::vector<std::string> parts = split(name, '.');
  return parts.size() == 4 && parts[0] == "127" &&
         name.find_first_not_of("0123456789.") == std::string_view::npos;
}

Result<std::vector<RegistryHost>> parse_hosts_toml(std::string_view text, const std::string& path,
                                                   const std::string& host) {
  const File file{path};
  const auto plain = ascii_only(text, path);
  if (!plain) return fail(plain.error());
  const toml::parse_result parsed = toml::parse(*plain);
  if (!parsed) return not_toml(file, parsed.error());
  const toml::table& root = parsed.table();

  const auto tables = host_tables(file, root);
  if (!tables) return fail(tables.error());
  std::vector<RegistryHost> hosts;
  for (const NamedHost& named : *tables) {
    RegistryHost registry;
    bool override_path = false;
    if (Status read = read_host(file, *named.table, false, registry, override_path); !read) {
      return fail(read.error());
    }
    auto base = base_url(file, named.table->source(), named.url, override_path);
    if (!base) return fail(base.error());
    registry.base = *base;
    hosts.push_back(std::move(registry));
  }

  RegistryHost server = default_host(host);
  const std::string own = server.base;
  bool override_path = false;
  if (Status read = read_host(file, root, true, server, override_path); !read) {
    return fail(read.error());
  }
  if (const toml::node* node = root.get("server")) {
    const auto* url = node->as_string();
    if (url == nullptr) return file.bad(node->source(), "server must be a URL");
    auto base = base_url(file, node->source(), url->get(), override_path);
    if (!base) return fail(base.error());
    server.base = *base;
  }
  hosts.push_back(std::move(server));
  const auto place = [](const std::string& url) { return url.substr(url.find("://")); };
  for (RegistryHost& each : hosts) each.mirror = place(each.base) != place(own);
  return hosts;
}

Result<std::vector<RegistryHost>> registry_hosts(const std::string& hosts_dir,
                                                 const std::string& host) {
  std::vector<std::string> names;
  if (const size_t colon = host.rfind(':'); colon != std::string::npos && host.back() != ']') {
    names.push_back(host.substr(0, colon) + "_" + host.substr(colon + 1) + "_");
  }
  names.insert(names.end(), {host, "_default"});
  for (const std::string& name : names) {
    const std::string directory = hosts_dir + "/" + name;
    if (hosts_dir.empty() || !has_directory(directory)) continue;
    const std::string path = directory + "/hosts.toml";
    const auto text = read_file(path, 1u << 20);
    if (text) return parse_hosts_toml(*text, path, host);
    if (text.error().code() != Code::NotFound) {
      return fail(Code::FailedPrecondition, text.error().full());
    }
    return hosts_from_certificates(directory, host);
  }
  return std::vector<RegistryHost>{default_host(host)};
}

}  // namespace wherry::runtime
