#include "runtime/device/host_devices.h"

#include <algorithm>
#include <cstdlib>
#include <dirent.h>
#include <glob.h>
#include <set>
#include <tuple>

#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/quantity.h"
#include "base/text.h"

namespace wherry::runtime {
namespace {

using Json = nlohmann::json;

std::vector<std::string> matches(const std::string& pattern) {
  std::vector<std::string> paths;
  glob_t found{};
  if (glob(pattern.c_str(), GLOB_ERR, nullptr, &found) == 0) {
    paths.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  }
  globfree(&found);
  return paths;
}

struct Unit {
  std::string name;  // path or qualified name
  NodeFacts facts{};
  std::string number{};
};

// A device that two links lead to is one.
std::vector<Unit> nodes_of(const DeviceClass& wanted) {
  std::vector<Unit> units;
  std::set<std::string> numbers;
  for (const std::string& pattern : wanted.paths) {
    for (const std::string& path : matches(pattern)) {
      const auto facts = read_node(path);
      if (!facts || facts->type == 'p' || !numbers.insert(facts->number()).second) continue;
      units.push_back({path, *facts, facts->number()});
    }
  }
  return units;
}

std::string lacks(const CdiDevice& device) {
  const std::string common = missing_node(device.spec->edits);
  return common.empty() ? missing_node(device.edits()) : common;
}

std::vector<Unit> cdi_of(const DeviceClass& wanted, const CdiRegistry& registry) {
  std::vector<Unit> units;
  std::set<std::string> names;
  const auto add = [&](const std::string& name) {
    const auto known = registry.devices.find(name);
    if (known == registry.devices.end() || !lacks(known->second).empty()) return;
    if (names.insert(name).second) units.push_back({name});
  };
  for (const std::string& name : wanted.cdi) {
    if (name.find('=') != std::string::npos) {
      add(name);
      continue;
    }
    // "all" stands for every device of a kind where a file has it, not for one more.
    for (const auto& [qualified, device] : registry.devices) {
      if (device.spec->kind == name && device.name != "all") add(qualified);
    }
  }
  return units;
}

std::vector<Unit> units_of(const DeviceClass& wanted, const CdiRegistry& registry) {
  return wanted.paths.empty() ? cdi_of(wanted, registry) : nodes_of(wanted);
}

DeviceStock stock_of(const DeviceClass& wanted, const CdiRegistry& registry) {
  DeviceStock stock;
  for (const Unit& unit : units_of(wanted, registry)) stock.units[unit.name] = unit.number;
  stock.total = static_cast<int64_t>(stock.units.size()) * wanted.shared;
  stock.looked_for = join(wanted.paths.empty() ? wanted.cdi : wanted.paths, ", ");
  return stock;
}

// The kernel's directory: hugepages-2048kB/nr_hugepages.
void add_huge_pages(const std::string& directory, DeviceInventory& made) {
  DIR* listing = opendir(directory.c_str());
  if (listing == nullptr) return;
  while (const dirent* entry = readdir(listing)) {
    constexpr std::string_view kPrefix = "hugepages-";
    const std::string name = entry->d_name;
    if (!name.starts_with(kPrefix) || !name.ends_with("kB")) continue;
    const int64_t bytes = std::strtoll(name.c_str() + kPrefix.size(), nullptr, 10) * 1024;
    const auto count = read_file(directory + "/" + name + "/nr_hugepages", 64);
    if (bytes <= 0 || !count) continue;
    made.resources["hugepages-" + format_bytes_exact(bytes)].total =
        bytes * std::strtoll(count->c_str(), nullptr, 10);
  }
  closedir(listing);
}

// Chooses units of one resource.
class Chooser {
 public:
  Chooser(const std::string& resource, const DeviceClass& wanted, const CdiRegistry& registry)
      : resource_(&resource),
        wanted_(&wanted),
        registry_(&registry),
        units_(units_of(wanted, registry)) {}

  // What is left over of all that there is, whoever has it.
  int64_t spare(int64_t count) const {
    return static_cast<int64_t>(units_.size()) * wanted_->shared - count;
  }

  Status run(int64_t count, const std::vector<HeldDevice>& taken,
             const std::vector<HeldDevice>& before, DeviceGrant& grant) {
    std::vector<int> uses(units_.size()), given(units_.size());
    std::vector<bool> had(units_.size());
    for (size_t i = 0; i < units_.size(); ++i) {
      // By its number too: a node that went and came back as another one is still open to those
      // that were started with its number.
      const auto same = [&](const HeldDevice& other) {
        return other.unit == units_[i].name ||
               (!other.number.empty() && other.number == units_[i].number);
      };
      uses[i] = static_cast<int>(std::count_if(taken.begin(), taken.end(), same));
      had[i] = std::any_of(before.begin(), before.end(), same);
    }
    for (int64_t n = 0; n < count; ++n) {
      std::optional<size_t> best;
      for (size_t i = 0; i < units_.size(); ++i) {
        if (uses[i] >= wanted_->shared) continue;
        const auto rank = [&](size_t at) { return std::tuple(given[at], !had[at], uses[at], at); };
        if (!best || rank(i) < rank(*best)) best = i;
      }
      if (!best) return too_few(count);
      ++uses[*best], ++given[*best];
      give(units_[*best], grant);
    }
    return {};
  }

 private:
  Status too_few(int64_t count) const {
    const std::string there = std::to_string(units_.size() * static_cast<size_t>(wanted_->shared));
    const bool absent = spare(count) < 0;
    return fail(Code::FailedPrecondition,
                "it asks for " + std::to_string(count) + " of " + *resource_ + ", of which " +
                    there + " are there" + (absent ? "" : " and too few are free"),
                absent ? "WaitingForDevice" : "InsufficientDevices");
  }

  void give(const Unit& unit, DeviceGrant& grant) const {
    grant.held.push_back({*resource_, unit.name, unit.number});
    if (wanted_->paths.empty()) {
      grant.cdi.push_back(registry_->devices.at(unit.name));
      return;
    }
    std::string path = wanted_->container_path.empty() ? unit.name : wanted_->container_path;
    if (!wanted_->container_path.empty() && grant.held.size() > 1) {
      const auto own = std::count_if(grant.held.begin(), grant.held.end(),
                                     [&](const auto& each) { return each.resource == *resource_; });
      if (own > 1) path += std::to_string(own - 1);
    }
    grant.nodes.push_back({std::move(path), unit.facts, wanted_->permissions});
  }

  const std::string* resource_;
  const DeviceClass* wanted_;
  const CdiRegistry* registry_;
  std::vector<Unit> units_;
};

}  // namespace

void HostDevices::set(DeviceOptions options) {
  const std::lock_guard lock(mutex_);
  options_ = std::move(options);
}

DeviceOptions HostDevices::options() const {
  const std::lock_guard lock(mutex_);
  return options_;
}

std::shared_ptr<const CdiRegistry> HostDevices::registry(
    const std::vector<std::string>& dirs) const {
  std::string state = cdi_files_state(dirs);
  {
    const std::lock_guard lock(mutex_);
    if (registry_ && state == read_state_) return registry_;
  }
  auto read = std::make_shared<const CdiRegistry>(read_cdi(dirs));
  const std::lock_guard lock(mutex_);
  read_state_ = std::move(state);
  registry_ = read;
  return read;
}

DeviceInventory HostDevices::inventory() {
  const DeviceOptions now = options();
  DeviceInventory made;
  const auto read = registry(now.cdi_dirs);
  const CdiRegistry& registry = *read;
  for (const auto& [resource, wanted] : now.classes) {
    made.resources[resource] = stock_of(wanted, registry);
  }
  add_huge_pages(now.huge_pages, made);
  for (const auto& [name, device] : registry.devices) {
    const std::string missing = lacks(device);
    made.cdi[name] = missing.empty() ? ""
                                     : device.file + " gives it " + missing +
                                           ", which is not there: connect it, or load its driver";
  }
  for (const auto& [name, why] : registry.disputed) {
    made.cdi[name] = "several files describe it: remove all but one";
  }
  made.cdi_dirs = now.cdi_dirs;
  made.cdi_errors = registry.errors;
  return made;
}

Result<DeviceGrant> HostDevices::choose(const PodSpec& pod, const ContainerSpec& container,
                                        const std::vector<HeldDevice>& taken,
                                        const std::vector<HeldDevice>& before) const {
  const DeviceOptions now = options();
  const auto read = this->registry(now.cdi_dirs);
  const CdiRegistry& registry = *read;
  DeviceGrant grant;
  std::vector<std::pair<Chooser, int64_t>> choosers;
  for (const auto& [resource, count] : container.resources.extended) {
    if (huge_page_of(resource)) continue;
    const auto wanted = now.classes.find(resource);
    if (wanted == now.classes.end()) {
      return fail(Code::FailedPrecondition,
                  "nothing is configured for " + resource + ": add it to devices in wherry.yaml",
                  "DeviceNotConfigured");
    }
    choosers.emplace_back(Chooser(resource, wanted->second, registry), count);
  }
  // Two resources may name one device: the one with less to choose from is first.
  std::stable_sort(choosers.begin(), choosers.end(), [](const auto& a, const auto& b) {
    return a.first.spare(a.second) < b.first.spare(b.second);
  });
  for (auto& [chooser, count] : choosers) {
    std::vector<HeldDevice> all_taken = taken;
    all_taken.insert(all_taken.end(), grant.held.begin(), grant.held.end());
    if (Status chosen = chooser.run(count, all_taken, before, grant); !chosen) {
      return fail(chosen.error());
    }
  }
  for (const std::string& name : pod.cdi_devices) {
    const auto device = registry.devices.find(name);
    if (device == registry.devices.end()) {
      return fail(Code::FailedPrecondition,
                  "no file in " + join(now.cdi_dirs, ", ") + " describes the CDI device " + name,
                  "WaitingForDevice");
    }
    const auto same = [&](const CdiDevice& each) {
      return each.spec == device->second.spec && each.name == device->second.name;
    };
    if (std::none_of(grant.cdi.begin(), grant.cdi.end(), same)) grant.cdi.push_back(device->second);
  }
  return grant;
}

Result<std::string> with_devices(const std::string& spec_json, const DeviceGrant& grant) {
  Json spec = Json::parse(spec_json, nullptr, false);
  if (!spec.is_object()) return fail(Code::InvalidArgument, "this is no specification");
  for (const DeviceGrant::Node& node : grant.nodes) {
    add_node(spec, node.path, node.facts, node.permissions);
  }
  std::set<const CdiSpec*> begun;
  std::set<std::pair<const CdiSpec*, std::string>> done;
  for (const CdiDevice& device : grant.cdi) {
    const auto apply = [&](const CdiEdits& edits) -> Status {
      Status applied = apply_edits(edits, spec);
      return applied ? Status() : Status(fail(applied.error(), device.file));
    };
    if (!done.emplace(device.spec.get(), device.name).second) continue;
    if (begun.insert(device.spec.get()).second) {
      if (Status applied = apply(device.spec->edits); !applied) return fail(applied.error());
    }
    if (Status applied = apply(device.edits()); !applied) return fail(applied.error());
  }
  return spec.dump(-1, ' ', false, Json::error_handler_t::replace);
}

bool wants_devices(const PodSpec& pod, const ContainerSpec& container) {
  const auto& wanted = container.resources.extended;
  return !pod.cdi_devices.empty() ||
         std::any_of(wanted.begin(), wanted.end(),
                     [](const auto& each) { return !huge_page_of(each.first); });
}

}  // namespace wherry::runtime
