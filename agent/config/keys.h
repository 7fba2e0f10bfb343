#pragma once
// The one table of configuration keys: it drives reading, checking, the reload and, through tests,
// docs/configuration.md and configs/wherry.yaml.

#include <cstdint>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "agent/config/config.h"
#include "base/result.h"

namespace wherry::config {

// Where the value of a key is kept.
using Slot =
    std::variant<std::string*, bool*, int*, int64_t*, Duration*, LogLevel*,
                 std::vector<std::string>*, std::map<std::string, std::string>*,
                 std::map<std::string, bool>*, std::map<std::string, Config::DeviceClass>*>;

struct Range {
  int64_t min = 0;  // in the unit of the slot: nanoseconds, bytes, a count
  int64_t max = std::numeric_limits<int64_t>::max();
};

// One scalar as it is written. `entry` is its key where the value is a map.
struct Item {
  std::string_view text;
  std::string_view entry;
  std::string_view field{};  // of the entry, where entries are maps themselves
};

enum class Shape { Scalar, List, Map, Entries };  // Entries: a map of maps of Form::fields

struct EntryField {
  std::string_view name;
  bool list = false;
};

// How a value is written, read and shown.
struct Form {
  std::string_view name;  // as docs/configuration.md calls it
  Shape shape;
  // Stores a scalar, appends to a list or sets one entry of a map; of Entries it sets one field of
  // an entry, or, without a field, begins the entry anew.
  Status (*read)(const Item& item, const Range& range, const Slot& slot);
  std::string (*show)(const Slot& slot);  // YAML that reads back as the same value
  std::span<const EntryField> fields{};   // Entries
};

enum class Applies {
  Restart,  // when the agent starts
  Reload,   // also on SIGHUP
};

struct Key {
  std::string_view path;  // "mqtt.keepalive"
  const Form* form;
  Slot (*slot)(Config&);
  Applies applies = Applies::Restart;
  Range range{};

  std::string show(const Config& config) const;  // the value in `config`
};

std::span<const Key> keys();

// What no single value can tell: (path of the key to blame, message).
struct Contradiction {
  std::string_view path;
  std::string message;
  std::string_view other = {};  // the key that it contradicts
};
std::vector<Contradiction> contradictions(const Config& config);

}  // namespace wherry::config
