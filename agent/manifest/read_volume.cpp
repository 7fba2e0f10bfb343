// A Pod's volumes, up to what they refer to.

#include <algorithm>
#include <array>

#include "agent/manifest/items.h"
#include "agent/manifest/names.h"
#include "base/quantity.h"

namespace wherry::manifest {
namespace {

using runtime::Volume;

runtime::HostPathType host_path_type(std::string_view name) {
  using Type = runtime::HostPathType;
  static constexpr std::array<std::pair<std::string_view, Type>, 7> kTypes{{
      {"DirectoryOrCreate", Type::DirectoryOrCreate},
      {"Directory", Type::Directory},
      {"FileOrCreate", Type::FileOrCreate},
      {"File", Type::File},
      {"Socket", Type::Socket},
      {"CharDevice", Type::CharDevice},
      {"BlockDevice", Type::BlockDevice},
  }};
  for (const auto& [text, type] : kTypes) {
    if (text == name) return type;
  }
  return Type::Unset;
}

void read_host_path(const Cursor& source, Volume& volume) {
  volume.kind = Volume::Kind::HostPath;
  volume.host_path = source.string("path");
  volume.host_path_type = host_path_type(source.string("type"));
  if (source.get("path", Kind::String) == nullptr) return;
  const std::string_view problem = container_path_problem(volume.host_path);
  if (!problem.empty()) source.error_at("path", std::string(problem));
}

void read_empty_dir(const Cursor& source, Volume& volume) {
  const std::string_view medium = source.string("medium");
  volume.memory = medium == "Memory";
  constexpr std::string_view kHuge = "HugePages-";
  if (medium.starts_with(kHuge)) {
    volume.huge_page = parse_quantity(medium.substr(kHuge.size())).value_or(0);
  }
  const Node* limit = source.get("sizeLimit");
  if (limit == nullptr || !limit->is_scalar()) return;
  volume.size_limit = parse_quantity(limit->text).value_or(0);
}

// The parts of a definition, each with its length, so that no two run into each other.
void define(std::string& definition, std::string_view part) {
  definition += std::to_string(part.size()) + ":" + std::string(part);
}

std::optional<uint32_t> mode_of(const Cursor& at, std::string_view field) {
  const Node* mode = at.get(field, Kind::Integer);
  return mode == nullptr ? std::nullopt : to_mode(*mode);
}

// The files of one volume, while it is read.
class FilesReader {
 public:
  FilesReader(Volume& volume, VolumeItem& item) : volume_(volume), item_(item) {
    volume_.kind = Volume::Kind::Files;
  }

  void defaults(const Cursor& at) {
    item_.default_mode = mode_of(at, "defaultMode").value_or(0644);
    if (item_.default_mode != 0644) define(volume_.definition, std::to_string(item_.default_mode));
  }

  void object(const Cursor& at, FileSource::From from, std::string_view name_field) {
    FileSource& source = begin(at, from);
    source.name = at.string(name_field);
    source.optional = at.boolean("optional");
    define(volume_.definition, source.name);
    if (source.optional) define(volume_.definition, "optional");
    // In memory only, where nobody finds it after a power cut.
    if (from == FileSource::From::Secret) volume_.memory = true;
    at.each("items", Kind::Map, [&](const Cursor& entry) {
      FileEntry file = head(entry);
      file.key = entry.string("key");
      add(source, std::move(file));
    });
  }

  void downward(const Cursor& at) {
    FileSource& source = begin(at, FileSource::From::Downward);
    at.each("items", Kind::Map, [&](const Cursor& entry) {
      FileEntry file = head(entry);
      if (entry.has("fieldRef") == entry.has("resourceFieldRef")) {
        return entry.error("needs either fieldRef or resourceFieldRef");
      }
      entry.with("fieldRef", [&](const Cursor& ref) { read_field(ref, file); });
      entry.with("resourceFieldRef", [&](const Cursor& ref) { read_resource(ref, file); });
      add(source, std::move(file));
    });
  }

 private:
  FileSource& begin(const Cursor& at, FileSource::From from) {
    FileSource& source = item_.sources.emplace_back();
    source.from = from;
    source.place = at.place();
    define(volume_.definition, std::to_string(static_cast<int>(from)));
    return source;
  }

  FileEntry head(const Cursor& entry) {
    FileEntry file;
    file.path = entry.string("path");
    file.mode = mode_of(entry, "mode");
    file.place = entry.place();
    if (entry.get("path", Kind::String) == nullptr) return file;
    const std::string_view problem = file_path_problem(file.path);
    if (!problem.empty()) {
      entry.error_at("path", std::string(problem));
    } else if (!paths_.insert(file.path).second) {
      entry.error_at("path", "another file of this volume has this path");
    }
    return file;
  }

  void add(FileSource& source, FileEntry file) {
    define(volume_.definition, file.key + ">" + file.path);
    if (file.mode) define(volume_.definition, std::to_string(*file.mode));
    if (!file.container.empty()) {
      define(volume_.definition, file.container + "/" + std::to_string(file.divisor));
    }
    source.items.push_back(std::move(file));
  }

  static void read_field(const Cursor& ref, FileEntry& file) {
    file.key = ref.string("fieldPath");
    static constexpr std::string_view kPlain[] = {"metadata.name", "metadata.namespace",
                                                  "metadata.uid", "metadata.labels",
                                                  "metadata.annotations"};
    for (const std::string_view known : kPlain) {
      if (file.key == known) return;
    }
    for (const std::string_view map : {"metadata.labels['", "metadata.annotations['"}) {
      if (file.key.starts_with(map) && file.key.size() > map.size() + 2 && file.key.ends_with("']"))
        return;
    }
    if (file.key.empty()) return;
    ref.error_at("fieldPath", "\"" + shown(file.key) +
                                  "\" cannot be shown in a volume; metadata.name, "
                                  "metadata.namespace, metadata.uid, metadata.labels, "
                                  "metadata.annotations and one of either by ['key'] can");
  }

  static void read_resource(const Cursor& ref, FileEntry& file) {
    file.key = ref.string("resource");
    file.container = ref.string("containerName");
    file.divisor = read_divisor(ref);
  }

  Volume& volume_;
  VolumeItem& item_;
  std::set<std::string> paths_;
};

void read_projected(const Cursor& projected, Volume& volume, VolumeItem& item) {
  FilesReader files(volume, item);
  files.defaults(projected);
  projected.each("sources", Kind::Map, [&](const Cursor& source) {
    if (source.node().count != 1) {
      return source.error("needs exactly one of configMap, secret and downwardAPI");
    }
    source.with("configMap",
                [&](const Cursor& at) { files.object(at, FileSource::From::ConfigMap, "name"); });
    source.with("secret",
                [&](const Cursor& at) { files.object(at, FileSource::From::Secret, "name"); });
    source.with("downwardAPI", [&](const Cursor& at) { files.downward(at); });
  });
}

void read_files(const Cursor& entry, Volume& volume, VolumeItem& item) {
  entry.with("configMap", [&](const Cursor& at) {
    FilesReader files(volume, item);
    files.defaults(at);
    files.object(at, FileSource::From::ConfigMap, "name");
  });
  entry.with("secret", [&](const Cursor& at) {
    FilesReader files(volume, item);
    files.defaults(at);
    files.object(at, FileSource::From::Secret, "secretName");
  });
  entry.with("downwardAPI", [&](const Cursor& at) {
    FilesReader files(volume, item);
    files.defaults(at);
    files.downward(at);
  });
  entry.with("projected", [&](const Cursor& at) { read_projected(at, volume, item); });
}

void read_claim_volume(const Cursor& source, Volume& volume) {
  volume.kind = Volume::Kind::Claim;
  volume.claim = source.string("claimName");
  volume.read_only = source.boolean("readOnly");
  if (source.get("claimName", Kind::String) == nullptr) return;
  const std::string_view problem = dns_subdomain_problem(volume.claim);
  if (!problem.empty()) source.error_at("claimName", std::string(problem));
}

// A claim of the Pod's own, which name_claims() names after both.
void read_ephemeral(const Cursor& source, Volume& volume) {
  volume.kind = Volume::Kind::Claim;
  volume.owned = true;
  source.with("volumeClaimTemplate", [&](const Cursor& made) {
    made.with("metadata", [&](const Cursor& metadata) {
      std::map<std::string, std::string> labels, annotations;
      read_metadata(metadata, false, labels, annotations);
    });
    made.with("spec", [&](const Cursor& spec) {
      ClaimItem claim;
      read_claim_spec(spec, claim);
    });
  });
}

void read_source(const Cursor& entry, PodItem& pod, Volume volume) {
  VolumeItem item;
  item.place = entry.place();
  entry.with("hostPath", [&](const Cursor& source) { read_host_path(source, volume); });
  entry.with("emptyDir", [&](const Cursor& source) { read_empty_dir(source, volume); });
  entry.with("persistentVolumeClaim",
             [&](const Cursor& source) { read_claim_volume(source, volume); });
  entry.with("ephemeral", [&](const Cursor& source) { read_ephemeral(source, volume); });
  entry.with("image", [&](const Cursor& source) {
    volume.kind = Volume::Kind::Image;
    read_image(source, "reference", "pullPolicy", volume.image, volume.pull_policy);
  });
  read_files(entry, volume, item);
  auto& volumes = pod.workload.pod.volumes;
  item.index = volumes.size();
  const bool refers = volume.kind == Volume::Kind::Files || volume.kind == Volume::Kind::Claim;
  if (refers) pod.volumes.push_back(std::move(item));
  volumes.push_back(std::move(volume));
}

}  // namespace

void name_own_claims(runtime::PodSpec& pod) {
  for (Volume& volume : pod.volumes) {
    if (volume.owned) volume.claim = pod.name + "-" + volume.name;
  }
}

int64_t read_divisor(const Cursor& ref) {
  const Node* divisor = ref.get("divisor");
  if (divisor == nullptr || !divisor->is_scalar()) return 1000;
  const int64_t value = parse_quantity_milli(divisor->text).value_or(1000);
  return value <= 0 ? 1000 : value;  // as in Kubernetes
}

namespace {

// After the others, as in Kubernetes: one of the same name gives way.
void add_claim_templates(PodItem& pod, PodContext& context) {
  for (ClaimTemplate& made : pod.claim_templates) {
    Volume volume;
    volume.name = made.name;
    volume.kind = Volume::Kind::Claim;
    context.volumes.insert(made.name);
    auto& volumes = pod.workload.pod.volumes;
    const auto same = std::find_if(volumes.begin(), volumes.end(),
                                   [&](const Volume& other) { return other.name == made.name; });
    made.index = static_cast<size_t>(same - volumes.begin());
    std::erase_if(pod.volumes, [&](const VolumeItem& item) { return item.index == made.index; });
    if (same == volumes.end()) volumes.emplace_back();
    volumes[made.index] = std::move(volume);
    VolumeItem item;
    item.index = made.index;
    item.place = made.place;
    pod.volumes.push_back(std::move(item));
  }
}

}  // namespace

// All declared names, also of volumes that are refused, so that mounts of those stay silent.
void read_volumes(const Cursor& spec, PodItem& pod, PodContext& context) {
  spec.each("volumes", Kind::Map, [&](const Cursor& entry) {
    Volume volume;
    volume.name = entry.string("name");
    const std::string_view problem = dns_label_problem(volume.name);
    if (entry.get("name", Kind::String) != nullptr && !problem.empty()) {
      entry.error_at("name", std::string(problem));
    }
    if (!volume.name.empty() && !context.volumes.insert(volume.name).second) {
      entry.error_at("name", "two volumes are named \"" + shown(volume.name) + "\"");
    }
    size_t sources = 0;
    for (const Node& field : entry.node()) {
      if (field.key->text != "name" && !field.is_null()) ++sources;
    }
    if (sources != 1) {
      entry.error(sources == 0 ? "needs a source, for example configMap or emptyDir: {}"
                               : "has several sources: split it into several volumes");
      return;
    }
    read_source(entry, pod, std::move(volume));
  });
  add_claim_templates(pod, context);
}

}  // namespace wherry::manifest
