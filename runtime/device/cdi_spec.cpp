#include "runtime/device/cdi_spec.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <limits>
#include <set>
#include <span>

#include <nlohmann/json.hpp>

#include "base/text.h"
#include "runtime/device/yaml_json.h"

namespace wherry::runtime {
namespace {

using Json = nlohmann::json;
using Names = std::span<const std::string_view>;

constexpr std::array<std::string_view, 8> kVersions{"0.1.0", "0.2.0", "0.3.0", "0.4.0",
                                                    "0.5.0", "0.6.0", "0.7.0", "0.8.0"};
constexpr std::array<std::string_view, 5> kSpecFields{"cdiVersion", "kind", "annotations",
                                                      "devices", "containerEdits"};
constexpr std::array<std::string_view, 3> kDeviceFields{"name", "annotations", "containerEdits"};
constexpr std::array<std::string_view, 6> kEditFields{"env",   "deviceNodes",    "mounts",
                                                      "hooks", "additionalGids", "intelRdt"};
constexpr std::array<std::string_view, 9> kNodeFields{
    "path", "hostPath", "type", "major", "minor", "fileMode", "permissions", "uid", "gid"};
constexpr std::array<std::string_view, 4> kMountFields{"hostPath", "containerPath", "options",
                                                       "type"};
constexpr std::array<std::string_view, 5> kHookFields{"hookName", "path", "args", "env", "timeout"};
constexpr std::array<std::string_view, 6> kHooks{
    "prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"};

std::string in_quotes(std::string_view text) { return "\"" + printable(text, 80) + "\""; }

bool is_letter(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; }
bool is_alnum(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; }

// SPEC.md: letters, digits and some others in between; the end is a letter or digit.
bool is_word(std::string_view text, std::string_view between) {
  return !text.empty() && text.size() <= 253 && is_alnum(text.front()) && is_alnum(text.back()) &&
         std::all_of(text.begin(), text.end(), [&](char c) {
           return is_alnum(c) || between.find(c) != std::string_view::npos;
         });
}

std::string kind_problem(std::string_view kind) {
  const size_t slash = kind.find('/');
  const bool good = slash != std::string_view::npos && is_word(kind.substr(0, slash), "_-.") &&
                    is_word(kind.substr(slash + 1), "_-.") && is_letter(kind.front()) &&
                    is_letter(kind[slash + 1]);
  return good ? "" : in_quotes(kind) + " must be written as vendor.com/class";
}

std::string device_problem(std::string_view name) {
  return is_word(name, "_-.:") ? ""
                               : in_quotes(name) +
                                     " is no device name: letters, digits, and _ - . : "
                                     "between them";
}

// Reads one document; keeps the first mistake.
class Reader {
 public:
  CdiSpec spec(const Json& root) {
    CdiSpec made;
    if (!fields(root, "", kSpecFields)) return made;
    const std::string version = text(root, "", "cdiVersion", true);
    if (!version.empty() &&
        std::find(kVersions.begin(), kVersions.end(), version) == kVersions.end())
      bad("cdiVersion",
          in_quotes(version) + " is not supported by this version: 0.1.0 to 0.8.0 are");
    made.kind = text(root, "", "kind", true);
    if (const auto wrong = kind_problem(made.kind); !made.kind.empty() && !wrong.empty()) {
      bad("kind", wrong);
    }
    if (root.contains("containerEdits")) {
      made.edits = edits(root["containerEdits"], "containerEdits");
    }
    each(root, "", "devices", [&](const Json& entry, const std::string& at) {
      if (!fields(entry, at, kDeviceFields)) return;
      const std::string name = text(entry, at, "name", true);
      if (const auto wrong = device_problem(name); !name.empty() && !wrong.empty()) {
        return bad(at + ".name", wrong);
      }
      CdiEdits own;
      if (entry.contains("containerEdits")) {
        own = edits(entry["containerEdits"], at + ".containerEdits");
      }
      if (!made.devices.emplace(name, std::move(own)).second) {
        bad(at + ".name", in_quotes(name) + " is the name of another device of this file");
      }
    });
    if (made.devices.empty()) bad("devices", "must name at least one device");
    return made;
  }

  const std::string& mistake() const { return mistake_; }

 private:
  void bad(const std::string& at, const std::string& message) {
    if (mistake_.empty()) mistake_ = (at.empty() ? "" : at + ": ") + message;
  }
  static std::string below(const std::string& at, std::string_view name) {
    return at.empty() ? std::string(name) : at + "." + std::string(name);
  }

  bool fields(const Json& node, const std::string& at, Names known) {
    if (!node.is_object()) {
      bad(at,
          at.empty() ? "must be a mapping with cdiVersion, kind and devices" : "must be a mapping");
      return false;
    }
    for (const auto& [name, value] : node.items()) {
      if (std::find(known.begin(), known.end(), name) != known.end()) continue;
      const std::string near = nearest(name, known);
      bad(at, "unknown field " + in_quotes(name) +
                  (near.empty() ? "" : "; did you mean \"" + near + "\"?"));
    }
    return true;
  }

  static const Json* find(const Json& node, std::string_view name) {
    const auto found = node.find(name);
    return found == node.end() || found->is_null() ? nullptr : &*found;
  }

  std::string text(const Json& node, const std::string& at, std::string_view name, bool required) {
    const Json* value = find(node, name);
    if (value == nullptr) {
      if (required) bad(below(at, name), "is required");
      return {};
    }
    if (!value->is_string()) {
      bad(below(at, name), "must be a string; put it in quotes");
      return {};
    }
    auto read = value->get<std::string>();
    if (read.find('\0') != std::string::npos) bad(below(at, name), "must hold no NUL");
    if (required && read.empty()) bad(below(at, name), "must not be empty");
    return read;
  }

  std::string path(const Json& node, const std::string& at, std::string_view name, bool required) {
    std::string read = text(node, at, name, required);
    if (!read.empty() && read.front() != '/') bad(below(at, name), "must be an absolute path");
    return read;
  }

  std::optional<int64_t> number_of(const Json& value, const std::string& at, int64_t most) {
    const bool fits =
        value.is_number_unsigned() ? value.get<uint64_t>() <= INT64_MAX : value.is_number_integer();
    const int64_t read = fits ? value.get<int64_t>() : -1;
    if (read >= 0 && read <= most) return read;
    bad(at, "must be a whole number from 0 to " + std::to_string(most));
    return std::nullopt;
  }
  std::optional<int64_t> number(const Json& node, const std::string& at, std::string_view name,
                                int64_t most) {
    const Json* value = find(node, name);
    return value == nullptr ? std::nullopt : number_of(*value, below(at, name), most);
  }
  std::optional<uint32_t> small(const Json& node, const std::string& at, std::string_view name) {
    const auto read = number(node, at, name, std::numeric_limits<uint32_t>::max());
    return read ? std::optional(static_cast<uint32_t>(*read)) : std::nullopt;
  }

  template <typename Body>
  void each(const Json& node, const std::string& at, std::string_view name, Body body) {
    const Json* list = find(node, name);
    if (list == nullptr) return;
    if (!list->is_array()) return bad(below(at, name), "must be a list");
    for (size_t i = 0; i < list->size(); ++i) {
      body((*list)[i], below(at, name) + "[" + std::to_string(i) + "]");
    }
  }

  std::vector<std::string> texts(const Json& node, const std::string& at, std::string_view name) {
    std::vector<std::string> read;
    each(node, at, name, [&](const Json& entry, const std::string& place) {
      if (!entry.is_string()) return bad(place, "must be a string; put it in quotes");
      read.push_back(entry.get<std::string>());
      if (read.back().find('\0') != std::string::npos) bad(place, "must hold no NUL");
    });
    return read;
  }

  std::vector<std::string> variables(const Json& node, const std::string& at) {
    std::vector<std::string> read = texts(node, at, "env");
    for (size_t i = 0; i < read.size(); ++i) {
      const size_t equals = read[i].find('=');
      if (equals != std::string::npos && equals > 0) continue;
      bad(below(at, "env") + "[" + std::to_string(i) + "]",
          in_quotes(read[i]) + " must be written as NAME=value");
    }
    return read;
  }

  CdiEdits edits(const Json& node, const std::string& at) {
    CdiEdits made;
    if (node.is_null() || !fields(node, at, kEditFields)) return made;
    made.env = variables(node, at);
    each(node, at, "deviceNodes", [&](const Json& entry, const std::string& place) {
      made.nodes.push_back(device_node(entry, place));
    });
    each(node, at, "mounts", [&](const Json& entry, const std::string& place) {
      CdiMount mount;
      if (!fields(entry, place, kMountFields)) return;
      mount.host_path = text(entry, place, "hostPath", true);
      mount.container_path = path(entry, place, "containerPath", true);
      mount.options = texts(entry, place, "options");
      mount.type = text(entry, place, "type", false);
      made.mounts.push_back(std::move(mount));
    });
    each(node, at, "hooks", [&](const Json& entry, const std::string& place) {
      made.hooks.push_back(hook(entry, place));
    });
    each(node, at, "additionalGids", [&](const Json& entry, const std::string& place) {
      const auto gid = number_of(entry, place, std::numeric_limits<uint32_t>::max());
      if (gid) made.additional_gids.push_back(static_cast<uint32_t>(*gid));
    });
    if (find(node, "intelRdt") != nullptr) {
      bad(below(at, "intelRdt"), "is not supported by this version: leave it out");
    }
    return made;
  }

  CdiNode device_node(const Json& node, const std::string& at) {
    CdiNode made;
    if (!fields(node, at, kNodeFields)) return made;
    made.path = path(node, at, "path", true);
    made.host_path = path(node, at, "hostPath", false);
    made.type = text(node, at, "type", false);
    if (!made.type.empty() && (made.type.size() != 1 || std::string_view("bcup").find(made.type) ==
                                                            std::string_view::npos)) {
      bad(below(at, "type"), in_quotes(made.type) + " must be b, c, u or p");
    }
    made.major = number(node, at, "major", std::numeric_limits<uint32_t>::max());
    made.minor = number(node, at, "minor", std::numeric_limits<uint32_t>::max());
    if (const auto mode = number(node, at, "fileMode", 07777)) {
      made.file_mode = static_cast<uint32_t>(*mode);
    }
    made.uid = small(node, at, "uid");
    made.gid = small(node, at, "gid");
    made.permissions = text(node, at, "permissions", false);
    if (made.permissions.find_first_not_of("rwm") != std::string::npos) {
      bad(below(at, "permissions"), in_quotes(made.permissions) + " must be of r, w and m");
    }
    return made;
  }

  CdiHook hook(const Json& node, const std::string& at) {
    CdiHook made;
    if (!fields(node, at, kHookFields)) return made;
    made.name = text(node, at, "hookName", true);
    if (!made.name.empty() && std::find(kHooks.begin(), kHooks.end(), made.name) == kHooks.end()) {
      const std::string near = nearest(made.name, kHooks);
      bad(below(at, "hookName"), in_quotes(made.name) + " is no hook of a container" +
                                     (near.empty() ? "" : "; did you mean " + near + "?"));
    }
    made.path = path(node, at, "path", true);
    made.args = texts(node, at, "args");
    made.env = variables(node, at);
    made.timeout = number(node, at, "timeout", 86'400);
    return made;
  }

  std::string mistake_;
};

tl::unexpected<Error> invalid(std::string message) {
  return fail(Code::InvalidArgument, std::move(message));
}

}  // namespace

Result<CdiSpec> parse_cdi_spec(std::string_view text, bool yaml) {
  Json root;
  if (!is_valid_utf8(text)) return invalid("is not UTF-8");
  if (yaml) {
    auto read = yaml_to_json(text);
    if (!read) return fail(read.error());
    root = std::move(*read);
  } else {
    root = Json::parse(text, nullptr, false);
    if (root.is_discarded()) return invalid("is not valid JSON");
  }
  Reader reader;
  CdiSpec spec = reader.spec(root);
  if (!reader.mistake().empty()) return invalid(reader.mistake());
  return spec;
}

Result<CdiName> parse_cdi_name(std::string_view text, bool whole_kind) {
  const size_t equals = text.find('=');
  CdiName name;
  name.kind = text.substr(0, equals);
  std::string wrong = kind_problem(name.kind);
  if (equals != std::string_view::npos) {
    name.device = text.substr(equals + 1);
    if (wrong.empty()) wrong = device_problem(name.device);
  } else if (!whole_kind && wrong.empty()) {
    wrong = in_quotes(text) + " names no device: write " + printable(text, 80) + "=name";
  }
  if (!wrong.empty()) return invalid(wrong);
  return name;
}

}  // namespace wherry::runtime
