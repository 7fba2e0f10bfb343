#pragma once
// What a container's environment, command and arguments become once everything they refer to is
// known. Private to this room.

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "agent/manifest/items.h"

namespace wherry::manifest {

// The kernel's bounds on what a process is started with (execve(2)): one string, and here all.
inline constexpr size_t kMaxExecString = (128u << 10) - 1;
inline constexpr size_t kMaxExecTotal = 1u << 20;
// Over all workloads of a merge: many containers may each take a large ConfigMap.
inline constexpr size_t kMaxResolvedTotal = 16u << 20;

// $(NAME) replaced where `lookup` knows it and kept where it does not; $$ is one $. Stops and gives
// false once the result is longer than `bound`. (Kubernetes API, Container.command)
using VariableLookup = std::function<const std::string*(std::string_view name)>;
bool expand_variables(std::string_view text, const VariableLookup& lookup, size_t bound,
                      std::string& result);

struct ConfigObjects {
  std::map<std::string, const ConfigItem*, std::less<>> config_maps;
  std::map<std::string, const ConfigItem*, std::less<>> secrets;
  std::map<std::string, const ClaimItem*, std::less<>> claims;
  std::map<std::string, const PriorityClassItem*, std::less<>> priority_classes;
};

// What resourceFieldRef asks for: `resource` ("limits.cpu" …) of a container of the Pod in
// multiples of the divisor (in thousandths), rounded up; what stands for all that the device has
// where there is no such limit. Nothing where there is no such container.
std::optional<std::string> resource_value(const PodItem& pod, const std::string& container,
                                          std::string_view resource, int64_t divisor);

// Says where and why; never a value.
using Complain = std::function<void(const Place& place, std::string message)>;

// Fills in env and expands command and args. `budget` is what is left of kMaxResolvedTotal. False
// when it complained.
bool resolve_container(const PodItem& pod, const ContainerItem& item, const ConfigObjects& objects,
                       const DeviceFacts& facts, size_t& budget, const Complain& complain,
                       runtime::ContainerSpec& container);

}  // namespace wherry::manifest
