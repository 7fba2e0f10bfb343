#include "agent/config/reader.h"

#include <algorithm>
#include <set>

#include <yaml-cpp/yaml.h>

#include "agent/config/patterns.h"
#include "base/files.h"
#include "base/text.h"

namespace wherry::config {
namespace {

constexpr size_t kMaxFileBytes = 1u << 20;
constexpr std::string_view kSetSource = "--set";

const Key* find_key(std::string_view path) {
  for (const Key& key : keys()) {
    if (key.path == path) return &key;
  }
  return nullptr;
}

bool is_section(std::string_view path) {
  return std::any_of(keys().begin(), keys().end(), [&](const Key& key) {
    return key.path.size() > path.size() && key.path.starts_with(path) &&
           key.path[path.size()] == '.';
  });
}

// The names that may stand in `section` ("" for the outermost).
std::vector<std::string_view> names_in(std::string_view section) {
  std::vector<std::string_view> names;
  for (const Key& key : keys()) {
    std::string_view rest = key.path;
    if (!section.empty()) {
      if (!rest.starts_with(section) || rest[section.size()] != '.') continue;
      rest.remove_prefix(section.size() + 1);
    }
    rest = rest.substr(0, rest.find('.'));
    if (names.empty() || names.back() != rest) names.push_back(rest);
  }
  return names;
}

// "; did you mean …" from the names in the same section, else from those anywhere.
std::string suggestion(std::string_view section, std::string_view name) {
  const std::string prefix = section.empty() ? "" : std::string(section) + ".";
  const std::vector<std::string_view> here = names_in(section);
  if (const std::string near = nearest(name, here); !near.empty()) {
    return "; did you mean " + prefix + near + "?";
  }
  for (const Key& key : keys()) {
    if (key.path.substr(key.path.rfind('.') + 1) == name) {
      return "; did you mean " + std::string(key.path) + "?";
    }
  }
  std::vector<std::string_view> paths;
  for (const Key& key : keys()) paths.push_back(key.path);
  if (const std::string near = nearest(prefix + std::string(name), paths); !near.empty()) {
    return "; did you mean " + near + "?";
  }
  std::vector<std::string> known;
  for (const std::string_view one : here) known.emplace_back(one);
  return "; known here: " + join(known, ", ");
}

int line_of(const YAML::Node& node, int otherwise) {
  const YAML::Mark mark = node.Mark();
  return mark.is_null() ? otherwise : mark.line + 1;
}

// What yaml-cpp says. Of an alias it quotes the name, which may be a secret that lacks its quotes.
std::string words_of(const YAML::Exception& error) {
  if (!error.msg.starts_with(YAML::ErrorMsg::UNKNOWN_ANCHOR)) return error.msg;
  return std::string(YAML::ErrorMsg::UNKNOWN_ANCHOR) +
         "; a value that begins with * must be quoted";
}

}  // namespace

// One document of one source.
class Reader::Walk {
 public:
  Walk(Reader& reader, std::string file) : reader_(reader), file_(std::move(file)) {}

  void section(const YAML::Node& node, const std::string& path, int line) {
    if (!node.IsDefined() || node.IsNull()) return;  // all of its keys are commented out
    if (!node.IsMap()) {
      const std::string what = path.empty() ? "the configuration" : path;
      return complain(line, what + " must be a map of keys; write \"" +
                                std::string(names_in(path).front()) + ": …\" below it");
    }
    each_entry(node, path, line, [&](const std::string& name, const YAML::Node& value, int at) {
      const std::string below = path.empty() ? name : path + "." + name;
      const bool nested = name.find('.') == std::string::npos;
      if (const Key* key = nested ? find_key(below) : nullptr) return apply(*key, value, at);
      if (nested && is_section(below)) return section(value, below, at);
      complain(at,
               below + " is not a known key" +
                   (nested ? suggestion(path, name) : "; write each part on a level of its own"));
    });
  }

  void apply(const Key& key, const YAML::Node& node, int line) {
    bool good = false;
    switch (key.form->shape) {
      case Shape::Scalar:
        good = scalar(key, node, {}, line);
        break;
      case Shape::List:
        good = list(key, node, line);
        break;
      case Shape::Map:
        good = map(key, node, line);
        break;
      case Shape::Entries:
        good = entries(key, node, line);
        break;
    }
    if (good) settle(key, line);
  }

  bool entry(const Key& key, const std::string& name, const YAML::Node& node, int line) {
    const bool good = key.form->shape == Shape::Entries ? one_entry(key, node, name, line)
                                                        : scalar(key, node, name, line);
    if (good) settle(key, line);
    return good;
  }

 private:
  template <typename Use>
  void each_entry(const YAML::Node& node, const std::string& path, int line, const Use& use) {
    std::map<std::string, int> seen;
    for (const auto& pair : node) {
      const int at = line_of(pair.first, line);
      if (!pair.first.IsScalar()) {
        complain(at, "a key" + (path.empty() ? "" : " in " + path) + " must be a plain word");
        continue;
      }
      const std::string& name = pair.first.Scalar();
      const auto [first, fresh] = seen.emplace(name, at);
      if (!fresh) {
        complain(at, (path.empty() ? name : path + "." + name) + " is set twice, first in line " +
                         std::to_string(first->second));
        continue;
      }
      use(name, pair.second, at);
    }
  }

  bool scalar(const Key& key, const YAML::Node& node, std::string_view entry, int line) {
    std::string path(key.path);
    if (!entry.empty()) path += "." + std::string(entry);
    if (!node.IsDefined() || node.IsNull()) {
      return refuse(line,
                    path + " has no value; leave it out or write one (\"\" for an empty text)");
    }
    if (!node.IsScalar()) {
      if (key.form->shape == Shape::List) path += ": each entry";
      return refuse(line_of(node, line),
                    path +
                        " must be a single value, not a list or map; what begins "
                        "with [ or { needs quotes");
    }
    const Status read = key.form->read({node.Scalar(), entry}, key.range, key.slot(config()));
    return read || refuse(line_of(node, line), path + ": " + read.error().message());
  }

  bool list(const Key& key, const YAML::Node& node, int line) {
    if (!node.IsSequence()) {
      return refuse(line, std::string(key.path) + " must be a list; write [" +
                              (node.IsScalar() ? url_without_secrets(node.Scalar()) : "…") + "]");
    }
    std::get<std::vector<std::string>*>(key.slot(config()))->clear();
    bool good = true;
    for (const auto& element : node) {
      good = scalar(key, element, {}, line_of(element, line)) && good;
    }
    return good;
  }

  bool map(const Key& key, const YAML::Node& node, int line) {
    if (node.IsNull()) return false;  // all of its entries are commented out
    const std::string path(key.path);
    if (!node.IsMap()) return refuse(line, path + " must be a map; write {name: value}");
    bool good = true;
    each_entry(node, path, line, [&](const std::string& name, const YAML::Node& value, int at) {
      good = scalar(key, value, name, at) && good;
    });
    return good;
  }

  bool entries(const Key& key, const YAML::Node& node, int line) {
    if (node.IsNull()) return false;  // all of its entries are commented out
    const std::string path(key.path);
    if (!node.IsMap()) return refuse(line, path + " must be a map; write {name: {…}}");
    bool good = true;
    each_entry(node, path, line, [&](const std::string& name, const YAML::Node& value, int at) {
      good = one_entry(key, value, name, at) && good;
    });
    return good;
  }

  // A map of the fields that the form has.
  bool one_entry(const Key& key, const YAML::Node& node, const std::string& name, int line) {
    reader_.places_[key.path] = place(line);  // also of what it lacks
    const std::string path = std::string(key.path) + "." + name;
    const Status begun = key.form->read({"", name}, key.range, key.slot(config()));
    if (!begun) return refuse(line, path + ": " + begun.error().message());
    std::vector<std::string_view> known;
    for (const EntryField& field : key.form->fields) known.push_back(field.name);
    if (!node.IsMap()) {
      return refuse(line, path + " must be a map; write {" + std::string(known[0]) + ": …}");
    }
    bool good = true;
    each_entry(node, path, line, [&](const std::string& word, const YAML::Node& value, int at) {
      const auto& fields = key.form->fields;
      const auto field = std::find_if(fields.begin(), fields.end(),
                                      [&](const EntryField& each) { return each.name == word; });
      if (field != fields.end()) {
        good = field_of_entry(key, {{}, name, field->name}, field->list, value, at) && good;
        return;
      }
      const std::string near = nearest(word, known);
      good = refuse(at, path + "." + word + " is not a known key" +
                            (near.empty() ? "" : "; did you mean " + near + "?"));
    });
    return good;
  }

  bool field_of_entry(const Key& key, Item item, bool list, const YAML::Node& node, int line) {
    const std::string path =
        std::string(key.path) + "." + std::string(item.entry) + "." + std::string(item.field);
    if (list != node.IsSequence() || (!list && !node.IsScalar())) {
      return refuse(line, path + (list ? " must be a list" : " must be a single value"));
    }
    const auto read = [&](const YAML::Node& value) {
      const int at = line_of(value, line);
      if (!value.IsScalar()) return refuse(at, path + ": each entry must be a single value");
      item.text = value.Scalar();
      const Status done = key.form->read(item, key.range, key.slot(config()));
      return done || refuse(at, path + ": " + done.error().message());
    };
    if (!list) return read(node);
    bool good = true;
    for (const auto& element : node) good = read(element) && good;
    return good;
  }

  // The value is stored: remember where it came from.
  void settle(const Key& key, int line) { reader_.places_[key.path] = place(line); }

  Config& config() { return reader_.config_; }
  void complain(int line, std::string message) {
    reader_.complain(place(line), std::move(message));
  }
  Place place(int line) const { return {file_, file_ == kSetSource ? 0 : line}; }
  bool refuse(int line, std::string message) {
    complain(line, std::move(message));
    return false;
  }

  Reader& reader_;
  const std::string file_;
};

void Reader::complain(const Place& place, std::string message) {
  errors_.push_back({place.file, place.line, std::move(message)});
}

void Reader::read_file(const std::string& path) {
  const Result<std::string> text = wherry::read_file(path, kMaxFileBytes);
  if (!text) return complain({path, 0}, text.error().message());
  try {
    const std::vector<YAML::Node> documents = YAML::LoadAll(*text);
    if (documents.size() > 1) {
      return complain({path, line_of(documents[1], 0)}, "holds more than one YAML document");
    }
    if (!documents.empty()) Walk(*this, path).section(documents[0], "", 1);
  } catch (const YAML::Exception& error) {
    complain({path, error.mark.is_null() ? 0 : error.mark.line + 1},
             "is not YAML: " + words_of(error));
  }
}

void Reader::read_set(const std::string& set) {
  const Place place{std::string(kSetSource), 0};
  const size_t equals = set.find('=');
  const std::string path = set.substr(0, equals);
  if (equals == std::string::npos || path.empty()) {
    return complain(place, quoted(std::string_view(set)) + " must be written as key.path=value");
  }
  YAML::Node value;
  try {
    // Nothing after the = means the empty text, as in a shell.
    value = equals + 1 == set.size() ? YAML::Node("") : YAML::Load(set.substr(equals + 1));
  } catch (const YAML::Exception& error) {
    return complain(place, path + ": the value is not YAML: " + words_of(error));
  }
  Walk walk(*this, place.file);
  if (const Key* key = find_key(path)) return walk.apply(*key, value, 0);
  if (is_section(path)) return walk.section(value, path, 0);
  // What follows the path of a map is one of its keys, which may hold dots itself.
  for (const Key& key : keys()) {
    const bool has_entries = key.form->shape == Shape::Map || key.form->shape == Shape::Entries;
    if (has_entries && path.size() > key.path.size() + 1 && path.starts_with(key.path) &&
        path[key.path.size()] == '.') {
      walk.entry(key, path.substr(key.path.size() + 1), value, 0);
      return;
    }
  }
  size_t dot = path.rfind('.');
  while (dot != std::string::npos && !is_section(path.substr(0, dot))) {
    dot = dot == 0 ? std::string::npos : path.rfind('.', dot - 1);
  }
  const std::string section = dot == std::string::npos ? "" : path.substr(0, dot);
  complain(place, path + " is not a known key" +
                      suggestion(section, section.empty() ? path : path.substr(dot + 1)));
}

void Reader::check_whole() {
  for (const Contradiction& found : contradictions(config_)) {
    const bool set = places_.contains(found.path) || found.other.empty();
    complain(places_[set ? found.path : found.other],
             std::string(found.path) + " " + found.message);
  }
}

}  // namespace wherry::config
