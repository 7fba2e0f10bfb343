#include "runtime/image/reference.h"

#include <algorithm>
#include <cctype>

#include "base/digest.h"
#include "base/text.h"

namespace wherry::runtime {
namespace {

constexpr size_t kMaxName = 255;
constexpr size_t kMaxReference = 4096;
constexpr std::string_view kDockerHost = "docker.io";

bool is_lower_alnum(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_alnum(char c) { return is_lower_alnum(c) || (c >= 'A' && c <= 'Z'); }
bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); }

// Letters and digits, joined by one '.', one or two '_', or any number of '-'.
bool is_valid_component(std::string_view part) {
  if (part.empty() || !is_lower_alnum(part.front()) || !is_lower_alnum(part.back())) return false;
  for (size_t i = 0; i < part.size();) {
    if (is_lower_alnum(part[i])) {
      ++i;
      continue;
    }
    size_t end = i;
    while (end < part.size() && part[end] == part[i]) ++end;
    const size_t run = end - i;
    const bool fine = part[i] == '-' || (part[i] == '.' && run == 1) || (part[i] == '_' && run < 3);
    if (!fine || !is_lower_alnum(part[end])) return false;
    i = end;
  }
  return true;
}

bool is_valid_host_name(std::string_view name) {
  if (name.size() > 2 && name.front() == '[' && name.back() == ']') {
    name = name.substr(1, name.size() - 2);
    return std::all_of(name.begin(), name.end(), [](char c) {
      return is_hex(static_cast<char>(std::tolower(static_cast<unsigned char>(c)))) || c == ':';
    });
  }
  if (name.empty() || name.back() == '.') return false;
  for (const std::string& label : split(name, '.')) {
    if (label.empty() || label.front() == '-' || label.back() == '-') return false;
    if (!std::all_of(label.begin(), label.end(), [](char c) { return is_alnum(c) || c == '-'; })) {
      return false;
    }
  }
  return true;
}

bool is_valid_host(std::string_view host) {
  const size_t colon = host.rfind(':');
  const bool has_port = colon != std::string_view::npos && host.back() != ']';
  if (!has_port) return is_valid_host_name(host);
  const std::string_view port = host.substr(colon + 1);
  if (port.empty() || port.size() > 5 || !std::all_of(port.begin(), port.end(), is_digit)) {
    return false;
  }
  const int number = std::stoi(std::string(port));
  return number > 0 && number < 65536 && is_valid_host_name(host.substr(0, colon));
}

bool looks_like_host(std::string_view first) {
  return first.find_first_of(".:") != std::string_view::npos || first == "localhost";
}

tl::unexpected<Error> invalid(std::string_view text, std::string_view why) {
  return fail(Code::InvalidArgument,
              "\"" + printable(text) + "\" is not an image reference: " + std::string(why),
              "InvalidImageName");
}

// What is wrong with a repository path, for people.
std::string_view repository_fault(std::string_view repository) {
  if (repository.empty()) return "the repository name is missing";
  if (std::any_of(repository.begin(), repository.end(),
                  [](char c) { return c >= 'A' && c <= 'Z'; })) {
    return "the repository name must be lower case";
  }
  return "the repository name may hold lower-case letters, digits and single separators . _ -";
}

}  // namespace

bool is_valid_tag(std::string_view tag) {
  if (tag.empty() || tag.size() > 128 || tag.front() == '.' || tag.front() == '-') return false;
  return std::all_of(tag.begin(), tag.end(),
                     [](char c) { return is_alnum(c) || c == '_' || c == '.' || c == '-'; });
}

bool is_valid_repository(std::string_view repository) {
  if (repository.empty() || repository.back() == '/') return false;
  const std::vector<std::string> parts = split(repository, '/');
  return std::all_of(parts.begin(), parts.end(),
                     [](const std::string& part) { return is_valid_component(part); });
}

std::string Reference::name() const {
  return repository_name() + (digest.empty() ? ":" + tag : "@" + digest);
}

Result<Reference> parse_reference(std::string_view text) {
  if (text.empty()) return invalid(text, "it is empty");
  if (text.size() > kMaxReference) return invalid(text, "it is too long");
  Reference reference;
  std::string_view rest = text;
  if (const size_t at = rest.find('@'); at != std::string_view::npos) {
    reference.digest = rest.substr(at + 1);
    rest = rest.substr(0, at);
    if (!is_sha256_digest(reference.digest)) {
      return invalid(text, "the digest must be sha256: and 64 lower-case hexadecimal digits");
    }
  }
  const size_t slash = rest.find('/');
  if (slash != std::string_view::npos && looks_like_host(rest.substr(0, slash))) {
    reference.host = rest.substr(0, slash);
    rest = rest.substr(slash + 1);
    if (!is_valid_host(reference.host)) {
      return invalid(text, "\"" + printable(reference.host, 100) +
                               "\" is not a host name with an optional port");
    }
  }
  if (const size_t colon = rest.rfind(':'); colon != std::string_view::npos) {
    reference.tag = rest.substr(colon + 1);
    rest = rest.substr(0, colon);
    if (!is_valid_tag(reference.tag)) {
      return invalid(text, "the tag may hold at most 128 letters, digits and _ . -");
    }
  }
  if (!is_valid_repository(rest)) return invalid(text, repository_fault(rest));
  reference.repository = rest;
  if (reference.host.empty() && rest.size() == 64 &&
      std::all_of(rest.begin(), rest.end(), is_hex)) {
    return invalid(text,
                   "64 hexadecimal digits look like an image id; write name@sha256:… instead");
  }
  if (reference.host.empty() || reference.host == "index.docker.io") reference.host = kDockerHost;
  if (reference.host == kDockerHost && reference.repository.find('/') == std::string::npos) {
    reference.repository.insert(0, "library/");
  }
  if (reference.repository_name().size() > kMaxName) return invalid(text, "the name is too long");
  if (reference.tag.empty() && reference.digest.empty()) reference.tag = "latest";
  return reference;
}

}  // namespace wherry::runtime
