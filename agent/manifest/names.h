#pragma once
// The forms of names and addresses that Kubernetes defines. Private to this room.

#include <optional>
#include <string>
#include <string_view>

namespace wherry::manifest {

// Each answers with what is wrong ("" where nothing is), as a sentence part: "must be …".
std::string_view dns_label_problem(std::string_view name);      // RFC 1123 label
std::string_view dns_subdomain_problem(std::string_view name);  // RFC 1123 subdomain
std::string_view label_key_problem(std::string_view key);       // [domain/]name
std::string_view label_value_problem(std::string_view value);
std::string_view port_name_problem(std::string_view name);  // RFC 6335 service name
std::string_view config_key_problem(std::string_view key);  // of a ConfigMap or Secret
std::string_view env_name_problem(std::string_view name);
std::string_view container_path_problem(std::string_view path);  // absolute, no "..", no ':'

// Of a file below a volume: relative, no step named "..".
std::string_view sub_path_problem(std::string_view path);
// The same, and not beginning with "..": those names are the volume's own.
std::string_view file_path_problem(std::string_view path);
// A good one without empty and "." steps; "" where nothing is left.
std::string plain_sub_path(std::string_view path);

// The address in its shortest form; nothing where it is none. "0.0.0.0" and "::" become "".
std::optional<std::string> canonical_ip(std::string_view text);

// Base64 of RFC 4648 section 4, with padding; white space between is skipped.
std::optional<std::string> decode_base64(std::string_view text);

}  // namespace wherry::manifest
