#include "agent/manifest/volume_files.h"

#include <algorithm>

#include "base/digest.h"

namespace wherry::manifest {
namespace {

using runtime::Volume;
using runtime::VolumeFile;

// One line for each label or annotation, as the downward API writes them: key="value", with the
// value quoted as Go does. No newline at the end.
std::string as_lines(const std::map<std::string, std::string>& map) {
  std::string text;
  for (const auto& [key, value] : map) {
    text += (text.empty() ? "" : "\n") + key + "=\"";
    for (const char c : value) {
      switch (c) {
        case '"':
        case '\\':
          text += '\\';
          text += c;
          break;
        case '\n':
          text += "\\n";
          break;
        case '\t':
          text += "\\t";
          break;
        case '\r':
          text += "\\r";
          break;
        default:
          text += c;
      }
    }
    text += '"';
  }
  return text;
}

class VolumeResolver {
 public:
  VolumeResolver(const PodItem& item, const ConfigObjects& objects, size_t& budget,
                 const Complain& complain)
      : pod_(item), objects_(objects), budget_(budget), complain_(complain) {}

  bool claim(const VolumeItem& item, const Volume& volume) {
    if (volume.owned || objects_.claims.contains(volume.claim)) return true;
    return fail(item.place, "PersistentVolumeClaim \"" + shown(volume.claim) +
                                "\" is not there: add it to a document of this device");
  }

  bool files(const VolumeItem& item, Volume& volume) {
    files_.clear();
    for (const FileSource& source : item.sources) {
      if (!(source.from == FileSource::From::Downward ? downward(item, source)
                                                      : object(item, source))) {
        return false;
      }
    }
    if (!check_paths(item)) return false;
    for (auto& [path, file] : files_) volume.files.push_back(std::move(file));
    return true;
  }

 private:
  bool fail(const Place& place, std::string message) {
    complain_(place, std::move(message));
    return false;
  }

  bool put(const VolumeItem& item, const std::string& path, const std::string& content,
           std::optional<uint32_t> mode, const Place& place) {
    if (content.size() + path.size() > budget_) {
      return fail(place,
                  "the volumes and environments of all workloads are larger than 16 MiB "
                  "together");
    }
    budget_ -= content.size() + path.size();
    files_[path] = {path, content, mode.value_or(item.default_mode)};
    return true;
  }

  bool object(const VolumeItem& item, const FileSource& source) {
    const bool secret = source.from == FileSource::From::Secret;
    const std::string what =
        std::string(secret ? "Secret" : "ConfigMap") + " \"" + shown(source.name) + "\"";
    const auto& all = secret ? objects_.secrets : objects_.config_maps;
    const auto found = all.find(source.name);
    if (found == all.end()) {
      if (source.optional) return true;
      return fail(source.place, what + " is not there: add it, or mark the volume optional: true");
    }
    const ConfigItem& object = *found->second;
    if (source.items.empty()) {
      for (const auto* map : {&object.data, &object.binary}) {
        for (const auto& [key, content] : *map) {
          if (!put(item, key, content, {}, source.place)) return false;
        }
      }
      return true;
    }
    for (const FileEntry& file : source.items) {
      const std::string* content = value_of(object, file.key);
      if (content == nullptr && source.optional) continue;
      if (content == nullptr) {
        return fail(file.place, what + " has no key \"" + shown(file.key) +
                                    "\": add it, or mark the volume optional: true");
      }
      if (!put(item, file.path, *content, file.mode, file.place)) return false;
    }
    return true;
  }

  static const std::string* value_of(const ConfigItem& object, const std::string& key) {
    for (const auto* map : {&object.data, &object.binary}) {
      const auto found = map->find(key);
      if (found != map->end()) return &found->second;
    }
    return nullptr;
  }

  bool downward(const VolumeItem& item, const FileSource& source) {
    for (const FileEntry& file : source.items) {
      std::string content;
      if (file.container.empty()) {
        content = field(file.key);
      } else if (!resource(file, content)) {
        return false;
      }
      if (!put(item, file.path, content, file.mode, file.place)) return false;
    }
    return true;
  }

  std::string field(std::string_view path) const {
    if (path == "metadata.name") return pod_.workload.name();
    if (path == "metadata.namespace") return "default";
    if (path == "metadata.uid") return std::string(runtime::kPodUidMark);
    const bool label = path.starts_with("metadata.labels");
    const auto& map = label ? pod_.labels : pod_.annotations;
    const size_t quote = path.find('\'');
    if (quote == std::string_view::npos) return as_lines(map);
    const auto found = map.find(std::string(path.substr(quote + 1, path.rfind('\'') - quote - 1)));
    return found == map.end() ? std::string() : found->second;
  }

  bool resource(const FileEntry& file, std::string& content) {
    const auto value = resource_value(pod_, file.container, file.key, file.divisor);
    if (!value) {
      return fail(file.place, "the Pod has no container named \"" + shown(file.container) + "\"");
    }
    content = *value;
    return true;
  }

  // A file cannot be where another needs a directory.
  bool check_paths(const VolumeItem& item) {
    for (const auto& [path, file] : files_) {
      for (size_t slash = path.find('/'); slash != std::string::npos;
           slash = path.find('/', slash + 1)) {
        if (files_.contains(path.substr(0, slash))) {
          return fail(item.place, "\"" + shown(path) + "\" cannot be below \"" +
                                      shown(path.substr(0, slash)) + "\", which is a file");
        }
      }
    }
    return true;
  }

  const PodItem& pod_;
  const ConfigObjects& objects_;
  size_t& budget_;
  const Complain& complain_;
  std::map<std::string, VolumeFile> files_;
};

std::string hash_of(const runtime::PodSpec& pod) {
  std::string text;
  const auto put = [&](const std::string& part) {
    text += std::to_string(part.size()) + ":" + part;
  };
  for (const Volume& volume : pod.volumes) {
    if (volume.kind != Volume::Kind::Files) continue;
    put(volume.name);
    put(std::to_string(volume.files.size()));
    for (const VolumeFile& file : volume.files) {
      put(file.path);
      put(std::to_string(file.mode));
      put(file.content);
    }
  }
  return text.empty() ? text : sha256_hex(text).substr(0, 16);
}

}  // namespace

bool resolve_volumes(const PodItem& item, const ConfigObjects& objects, size_t& budget,
                     const Complain& complain, runtime::PodSpec& pod) {
  VolumeResolver resolver(item, objects, budget, complain);
  bool good = true;
  for (const VolumeItem& each : item.volumes) {
    Volume& volume = pod.volumes.at(each.index);
    good = (volume.kind == Volume::Kind::Claim ? resolver.claim(each, volume)
                                               : resolver.files(each, volume)) &&
           good;
  }
  if (good) pod.files_hash = hash_of(pod);
  return good;
}

}  // namespace wherry::manifest
