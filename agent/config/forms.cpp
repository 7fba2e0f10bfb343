#include "agent/config/forms.h"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <charconv>

#include "agent/config/patterns.h"
#include "base/quantity.h"
#include "base/text.h"
#include "runtime/device/cdi_spec.h"

namespace wherry::config {
namespace {

template <typename T>
T& in(const Slot& slot) {
  return *std::get<T*>(slot);
}

tl::unexpected<Error> bad(std::string_view text, std::string_view must) {
  return fail(Code::InvalidArgument, quoted(text) + " " + std::string(must));
}

// --- showing: YAML that reads back as the same value

std::string whole(std::string_view text) { return quoted(text, std::string_view::npos); }
std::string show_string(const Slot& slot) { return whole(in<std::string>(slot)); }
std::string show_boolean(const Slot& slot) { return in<bool>(slot) ? "true" : "false"; }
std::string show_count(const Slot& slot) { return std::to_string(in<int>(slot)); }
std::string show_percent(const Slot& slot) { return show_count(slot) + "%"; }
std::string show_version(const Slot& slot) { return in<int>(slot) == 4 ? "3.1.1" : "5"; }
std::string show_size(const Slot& slot) { return format_bytes_exact(in<int64_t>(slot)); }
std::string show_duration(const Slot& slot) { return format_duration(in<Duration>(slot)); }

std::string show_list(const Slot& slot) {
  std::vector<std::string> parts;
  for (const std::string& one : in<std::vector<std::string>>(slot)) parts.push_back(whole(one));
  return "[" + join(parts, ", ") + "]";
}

template <typename T>
std::string show_map(const Slot& slot) {
  std::vector<std::string> parts;
  for (const auto& [key, value] : in<std::map<std::string, T>>(slot)) {
    if constexpr (std::is_same_v<T, bool>) {
      parts.push_back(whole(key) + ": " + (value ? "true" : "false"));
    } else {
      parts.push_back(whole(key) + ": " + whole(value));
    }
  }
  return "{" + join(parts, ", ") + "}";
}

// --- reading texts: one checker each

using Check = Status (*)(std::string_view text);

template <Check kCheck>
Status read_string(const Item& item, const Range&, const Slot& slot) {
  return kCheck(item.text).map([&] { in<std::string>(slot) = item.text; });
}

template <Check kCheck>
Status read_element(const Item& item, const Range&, const Slot& slot) {
  auto& list = in<std::vector<std::string>>(slot);
  if (std::find(list.begin(), list.end(), item.text) != list.end()) {
    return bad(item.text, "is listed twice");
  }
  return kCheck(item.text).map([&] { list.emplace_back(item.text); });
}

// --- reading numbers

Status within(const Item& item, int64_t value, const Range& range, std::string (*show)(int64_t)) {
  if (value >= range.min && value <= range.max) return {};
  if (range.max == Range{}.max) return bad(item.text, "must be at least " + show(range.min));
  return bad(item.text, "must be between " + show(range.min) + " and " + show(range.max));
}

std::string show_number(int64_t value) { return std::to_string(value); }
std::string show_percentage(int64_t value) { return std::to_string(value) + "%"; }
std::string show_time(int64_t value) { return format_duration(Duration(value)); }

Status read_int(std::string_view text, const Item& item, const Range& range, const Slot& slot,
                std::string_view must, std::string (*show)(int64_t)) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return bad(item.text, must);
  return within(item, value, range, show).map([&] { in<int>(slot) = value; });
}

Status read_count(const Item& item, const Range& range, const Slot& slot) {
  return read_int(item.text, item, range, slot, "is not a whole number", show_number);
}

Status read_percent(const Item& item, const Range& range, const Slot& slot) {
  constexpr std::string_view kMust = "is not a percentage; write for example 85%";
  if (!item.text.ends_with('%')) return bad(item.text, kMust);
  return read_int(item.text.substr(0, item.text.size() - 1), item, range, slot, kMust,
                  show_percentage);
}

Status read_version(const Item& item, const Range&, const Slot& slot) {
  if (item.text != "5" && item.text != "3.1.1") return bad(item.text, "must be 5 or 3.1.1");
  in<int>(slot) = item.text == "5" ? 5 : 4;
  return {};
}

Status read_boolean_into(bool& value, const Item& item) {
  if (item.text != "true" && item.text != "false") return bad(item.text, "must be true or false");
  value = item.text == "true";
  return {};
}

Status read_boolean(const Item& item, const Range&, const Slot& slot) {
  return read_boolean_into(in<bool>(slot), item);
}

Status read_size(const Item& item, const Range& range, const Slot& slot) {
  const Result<int64_t> bytes = parse_quantity(item.text);
  if (!bytes) return bad(item.text, "is not a size; write for example 64Ki, 10Mi or 2Gi");
  return within(item, *bytes, range, format_bytes_exact).map([&] { in<int64_t>(slot) = *bytes; });
}

Status read_duration(const Item& item, const Range& range, const Slot& slot) {
  const Result<Duration> time = parse_duration(item.text);
  if (!time) return fail(time.error());
  return within(item, time->count(), range, show_time).map([&] { in<Duration>(slot) = *time; });
}

// 0 switches it off, whatever the range.
Status read_interval(const Item& item, const Range& range, const Slot& slot) {
  const Result<Duration> time = parse_duration(item.text);
  if (time && *time == Duration::zero()) {
    in<Duration>(slot) = *time;
    return {};
  }
  return read_duration(item, range, slot);
}

Status read_seconds(const Item& item, const Range& range, const Slot& slot) {
  const Result<Duration> time = parse_duration(item.text);
  if (time && time->count() % 1'000'000'000 != 0) {
    return bad(item.text, "must be whole seconds");
  }
  return read_duration(item, range, slot);
}

// --- reading words of a fixed set

struct LevelName {
  std::string_view name;
  LogLevel level;
};
constexpr std::array<LevelName, 5> kLevels{{{"debug", LogLevel::Debug},
                                            {"info", LogLevel::Info},
                                            {"warn", LogLevel::Warn},
                                            {"error", LogLevel::Error},
                                            {"off", LogLevel::Off}}};

Status read_level(const Item& item, const Range&, const Slot& slot) {
  for (const LevelName& known : kLevels) {
    if (known.name == item.text) {
      in<LogLevel>(slot) = known.level;
      return {};
    }
  }
  return bad(item.text, "must be debug, info, warn, error or off");
}

std::string show_level(const Slot& slot) {
  for (const LevelName& known : kLevels) {
    if (known.level == in<LogLevel>(slot)) return quoted(known.name);
  }
  return {};
}

Status check_clock(std::string_view text) {
  if (text == "auto" || text == "trusted") return {};
  return bad(text, "must be auto or trusted");
}

Status check_log_forward(std::string_view text) {
  if (text == "none" || text == "errors" || text == "all") return {};
  return bad(text, "must be none, errors or all");
}

Status check_log_format(std::string_view text) {
  if (text == "auto" || text == "text" || text == "journald") return {};
  return bad(text, "must be auto, text or journald");
}

template <const auto& kGroups>
Status check_group(std::string_view text) {
  if (std::find(kGroups.begin(), kGroups.end(), text) != kGroups.end()) return {};
  const std::string near = nearest(text, kGroups);
  if (!near.empty()) return bad(text, "is no group of metrics; did you mean " + near + "?");
  return bad(text,
             "is no group of metrics; there are " + join({kGroups.begin(), kGroups.end()}, ", "));
}

// --- reading maps

Status read_label(const Item& item, const Range&, const Slot& slot) {
  const Status good = check_label(item.entry, item.text);
  return good.map(
      [&] { in<std::map<std::string, std::string>>(slot)[std::string(item.entry)] = item.text; });
}

Status read_text_entry(const Item& item, const Range&, const Slot& slot) {
  return check_text(item.text).map(
      [&] { in<std::map<std::string, std::string>>(slot)[std::string(item.entry)] = item.text; });
}

// Those of agent/command, as a test there says.
constexpr std::array<std::string_view, 12> kCommands{"ping",  "status", "restart",        "stop",
                                                     "start", "logs",   "exec",           "pull",
                                                     "prune", "check",  "support-bundle", "plan"};

Status read_switch(const Item& item, const Range&, const Slot& slot) {
  if (std::find(kCommands.begin(), kCommands.end(), item.entry) == kCommands.end()) {
    const std::string near = nearest(item.entry, kCommands);
    return bad(item.entry, near.empty()
                               ? "is not the name of a command"
                               : "is not the name of a command; did you mean \"" + near + "\"?");
  }
  return read_boolean_into(in<std::map<std::string, bool>>(slot)[std::string(item.entry)], item);
}

// --- reading what devices resources stand for

using Classes = std::map<std::string, Config::DeviceClass>;

Status add_once(std::vector<std::string>& list, std::string_view text) {
  if (std::find(list.begin(), list.end(), text) != list.end()) return bad(text, "is listed twice");
  list.emplace_back(text);
  return {};
}

Status read_device(const Item& item, const Range&, const Slot& slot) {
  Classes& classes = in<Classes>(slot);
  if (item.field.empty()) {
    return check_resource(item.entry).map([&] { classes[std::string(item.entry)] = {}; });
  }
  Config::DeviceClass& device = classes[std::string(item.entry)];
  if (item.field == "paths") {
    const Status good = check_path(item.text);
    return good ? add_once(device.paths, item.text) : good;
  }
  if (item.field == "cdi") {
    const auto name = runtime::parse_cdi_name(item.text, true);
    return name ? add_once(device.cdi, item.text) : Status(fail(name.error()));
  }
  if (item.field == "shared") {
    return read_int(item.text, item, {1, 1000}, Slot(&device.shared), "is not a whole number",
                    show_number);
  }
  if (item.field == "permissions") {
    return check_permissions(item.text).map([&] { device.permissions = item.text; });
  }
  return check_path(item.text).map([&] { device.container_path = item.text; });
}

std::string show_texts(const std::vector<std::string>& list) {
  auto copy = list;
  return show_list(Slot(&copy));
}

std::string show_devices(const Slot& slot) {
  std::vector<std::string> parts;
  for (const auto& [name, device] : in<Classes>(slot)) {
    std::vector<std::string> fields;
    if (!device.paths.empty()) fields.push_back("paths: " + show_texts(device.paths));
    if (!device.cdi.empty()) fields.push_back("cdi: " + show_texts(device.cdi));
    fields.push_back("shared: " + std::to_string(device.shared));
    fields.push_back("permissions: " + whole(device.permissions));
    if (!device.container_path.empty()) {
      fields.push_back("container_path: " + whole(device.container_path));
    }
    parts.push_back(whole(name) + ": {" + join(fields, ", ") + "}");
  }
  return "{" + join(parts, ", ") + "}";
}

constexpr EntryField kDeviceFields[] = {
    {"paths", true}, {"cdi", true}, {"shared"}, {"permissions"}, {"container_path"}};

}  // namespace

const Form kText{"text", Shape::Scalar, read_string<check_text>, show_string};
const Form kDeviceId{"name", Shape::Scalar, read_string<check_device_id>, show_string};
const Form kIdentifier{"name", Shape::Scalar, read_string<check_identifier>, show_string};
const Form kRuntime{"name or path", Shape::Scalar, read_string<check_runtime>, show_string};
const Form kPath{"path", Shape::Scalar, read_string<check_path>, show_string};
const Form kOptionalPath{"path or \"\"", Shape::Scalar, read_string<check_optional_path>,
                         show_string};
const Form kSecretPath{"path or \"\"", Shape::Scalar, read_string<check_secret_path>, show_string};
const Form kSocketPath{"path", Shape::Scalar, read_string<check_socket_path>, show_string};
const Form kTopic{"topic", Shape::Scalar, read_string<check_topic>, show_string};
const Form kKeyFile{"path, PKCS#11 URI or \"\"", Shape::Scalar, read_string<check_key_file>,
                    show_string};
const Form kAlpn{"name or \"\"", Shape::Scalar, read_string<check_alpn>, show_string};
const Form kBoolean{"true or false", Shape::Scalar, read_boolean, show_boolean};
const Form kCount{"number", Shape::Scalar, read_count, show_count};
const Form kPercent{"percentage", Shape::Scalar, read_percent, show_percent};
const Form kMqttVersion{"5 or 3.1.1", Shape::Scalar, read_version, show_version};
const Form kSize{"size", Shape::Scalar, read_size, show_size};
const Form kDuration{"duration", Shape::Scalar, read_duration, show_duration};
const Form kInterval{"duration", Shape::Scalar, read_interval, show_duration};
const Form kSeconds{"duration", Shape::Scalar, read_seconds, show_duration};
const Form kSubnet{"network", Shape::Scalar, read_string<check_subnet>, show_string};
const Form kListen{"address or \"\"", Shape::Scalar, read_string<check_listen>, show_string};
const Form kLogForward{"none, errors or all", Shape::Scalar, read_string<check_log_forward>,
                       show_string};
const Form kLogLevel{"level", Shape::Scalar, read_level, show_level};
const Form kLogFormat{"format", Shape::Scalar, read_string<check_log_format>, show_string};
const Form kClock{"trust", Shape::Scalar, read_string<check_clock>, show_string};
const Form kBrokers{"list of URLs", Shape::List, read_element<check_broker>, show_list};
const Form kGroups{"list of names", Shape::List, read_element<check_name>, show_list};
const Form kPaths{"list of paths", Shape::List, read_element<check_path>, show_list};
const Form kDevices{"map of devices", Shape::Entries, read_device, show_devices, kDeviceFields};
const Form kLabels{"map of labels", Shape::Map, read_label, show_map<std::string>};
const Form kSwitches{"map of switches", Shape::Map, read_switch, show_map<bool>};
const Form kNodeMetrics{"list of groups", Shape::List,
                        read_element<check_group<telemetry::kNodeGroups>>, show_list};
const Form kContainerMetrics{"list of groups", Shape::List,
                             read_element<check_group<telemetry::kContainerGroups>>, show_list};
const Form kTexts{"map of texts", Shape::Map, read_text_entry, show_map<std::string>};

}  // namespace wherry::config
