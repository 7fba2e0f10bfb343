#pragma once
// Checks of single texts. InvalidArgument errors quote the text, but for secrets that it may hold,
// and say what it must be.

#include <string>
#include <string_view>

#include "base/result.h"

namespace wherry::config {

// In double quotes, escaped so that YAML reads it back; cut after `longest` bytes.
std::string quoted(std::string_view text, size_t longest = 200);

Status check_text(std::string_view text);  // UTF-8 without control characters
// [A-Za-z0-9][A-Za-z0-9._-]{0,63}
Status check_name(std::string_view text);
Status check_device_id(std::string_view text);  // the same, or ""
// containerd's own rule for names: [A-Za-z0-9]+([._-][A-Za-z0-9]+)*, at most 76 characters.
Status check_identifier(std::string_view text);
Status check_runtime(std::string_view text);  // an identifier, or the path of a shim
Status check_path(std::string_view text);     // absolute
Status check_optional_path(std::string_view text);
// Of a file that keeps a secret, or "": the error does not quote the text.
Status check_secret_path(std::string_view text);
Status check_socket_path(std::string_view text);  // absolute, fits sockaddr_un
// A topic name without wildcards (MQTT 5.0, 4.7) and without empty levels.
Status check_topic(std::string_view text);
Status check_broker(std::string_view text);  // mqtt://host[:port] or ws://host[:port][/path]
// "", a path, or a PKCS#11 URI (RFC 7512) that names its PIN's file and not the PIN.
Status check_key_file(std::string_view text);
Status check_alpn(std::string_view text);    // "", or a protocol's name (RFC 7301): 1 to 255 bytes
Status check_subnet(std::string_view text);  // IPv4 CIDR, a network address, /8 to /29
// Two that check_subnet() finds good: is one within the other?
bool networks_overlap(std::string_view a, std::string_view b);
Status check_listen(std::string_view text);       // "" or address:port
Status check_resource(std::string_view text);     // of an extended resource: domain/name
Status check_permissions(std::string_view text);  // some of r, w and m, each once
// Kubernetes' syntax of label keys and values.
Status check_label(std::string_view key, std::string_view value);

}  // namespace wherry::config
