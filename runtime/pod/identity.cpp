#include "runtime/pod/identity.h"

#include <cctype>
#include <cstdlib>

#include "base/digest.h"
#include "base/files.h"
#include "base/text.h"

namespace wherry::runtime {
namespace {

constexpr const char* kPod = "wherry/pod";
constexpr const char* kContainer = "wherry/container";
constexpr const char* kInstance = "wherry/instance";
constexpr const char* kHash = "wherry/hash";
constexpr const char* kImage = "wherry/image";
constexpr const char* kDigest = "wherry/image-digest";
constexpr const char* kAttempt = "wherry/attempt";
constexpr const char* kBoot = "wherry/boot";
constexpr const char* kRole = "wherry/role";  // of other containers than main ones
constexpr const char* kMessageFromLogs = "wherry/message-from-logs";
constexpr const char* kHostNetwork = "wherry/host-network";
// Limit and request of cpu in thousandths, then those of memory in bytes.
constexpr const char* kSize = "wherry/size";
// PodSpec::labels. containerd drops empty values, so each is kept with a '=' in front.
constexpr std::string_view kOwnPrefix = "wherry/label/";
// A volume that shows an image: its digest, a space, its name.
constexpr std::string_view kVolumeImage = "wherry/volume-image/";
// What it was given, from 0 on: resource, number ("c_188:0", "-" for none), unit; spaces between.
constexpr std::string_view kDevice = "wherry/device/";
constexpr const char* kNoInstance = "default";

constexpr size_t kNamePart = 24;  // of each name in an id; the hash tells the rest apart

// Lower-case letters, digits and single dashes, neither at the ends.
std::string id_part(const std::string& name) {
  std::string part;
  for (const char c : name.substr(0, kNamePart)) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0;
    if (plain) {
      part += c;
    } else if (!part.empty() && part.back() != '-') {
      part += '-';
    }
  }
  while (!part.empty() && part.back() == '-') part.pop_back();
  return part.empty() ? "x" : part;
}

std::string equals(const char* label, const std::string& value) {
  return "labels.\"" + std::string(label) + "\"==\"" + value + "\"";
}

std::string value_of(const StringMap& labels, const char* key) {
  const auto found = labels.find(key);
  return found == labels.end() ? std::string() : found->second;
}

std::optional<Resources> size_of(const std::string& label) {
  const std::vector<std::string> parts = split(label, ' ');
  if (parts.size() != 4) return {};
  const auto number = [&](size_t at) { return std::strtoll(parts[at].c_str(), nullptr, 10); };
  Resources size;
  size.cpu_limit_milli = number(0);
  size.cpu_request_milli = number(1);
  size.memory_limit = number(2);
  size.memory_request = number(3);
  return size;
}

std::optional<HeldDevice> device_of(const std::string& label) {
  const size_t first = label.find(' ');
  const size_t second = first == std::string::npos ? first : label.find(' ', first + 1);
  if (second == std::string::npos) return {};
  HeldDevice device{label.substr(0, first), label.substr(second + 1),
                    label.substr(first + 1, second - first - 1)};
  std::replace(device.number.begin(), device.number.end(), '_', ' ');
  if (device.number == "-") device.number.clear();
  return device;
}

}  // namespace

std::string Identity::filter(const std::string& pod, const std::string& container) const {
  std::string text = equals(kInstance, instance.empty() ? kNoInstance : instance);
  if (!pod.empty()) text += "," + equals(kPod, pod);
  if (!container.empty()) text += "," + equals(kContainer, container);
  return text;
}

std::string Identity::filter_of_devices() const {
  return filter() + ",labels.\"" + std::string(kDevice) + "0\"";
}

void Identity::own(StringMap& labels, const std::string& pod) const {
  labels[kInstance] = instance.empty() ? kNoInstance : instance;
  labels[kPod] = pod;
}

std::string Identity::pod_of(const StringMap& labels) { return value_of(labels, kPod); }

std::string Identity::container_id(const PodSpec& pod, const ContainerSpec& container,
                                   uint32_t attempt, const std::string& image_digest) const {
  const std::string number = std::to_string(attempt);
  const std::string hash = sha256_hex(join(
      {instance, pod.name, container.name, number, pod.hash, image_digest}, std::string(1, '\n')));
  return id_part(pod.name) + "-" + id_part(container.name) + "-" + number + "-" +
         hash.substr(0, 10);
}

StringMap Identity::labels(const PodSpec& pod, const ContainerSpec& container, uint32_t attempt,
                           const Image& image) const {
  StringMap labels{{kPod, pod.name},
                   {kContainer, container.name},
                   {kInstance, instance.empty() ? kNoInstance : instance},
                   {kHash, pod.hash},
                   {kImage, image.name},
                   {kDigest, image.digest},
                   {kAttempt, std::to_string(attempt)},
                   {kBoot, boot_id}};
  add_size(container.resources, labels);
  if (pod.host_network) labels[kHostNetwork] = "true";
  if (container.message_from_logs) labels[kMessageFromLogs] = "true";
  if (container.role == ContainerRole::Init) labels[kRole] = "init";
  if (container.role == ContainerRole::Sidecar) labels[kRole] = "sidecar";
  for (const auto& [key, value] : pod.labels) labels[std::string(kOwnPrefix) + key] = "=" + value;
  return labels;
}

ContainerIdentity read_labels(const ContainerRecord& record) {
  ContainerIdentity identity;
  identity.status.id = record.id;
  identity.status.pod = value_of(record.labels, kPod);
  identity.status.name = value_of(record.labels, kContainer);
  identity.status.image = value_of(record.labels, kImage);
  identity.status.image_digest = value_of(record.labels, kDigest);
  identity.status.attempt =
      static_cast<uint32_t>(std::strtoul(value_of(record.labels, kAttempt).c_str(), nullptr, 10));
  const std::string role = value_of(record.labels, kRole);
  if (role == "init") identity.status.role = ContainerRole::Init;
  if (role == "sidecar") identity.status.role = ContainerRole::Sidecar;
  identity.status.size = size_of(value_of(record.labels, kSize));
  for (size_t i = 0;; ++i) {
    auto device =
        device_of(value_of(record.labels, (std::string(kDevice) + std::to_string(i)).c_str()));
    if (!device) break;
    identity.status.devices.push_back(std::move(*device));
  }
  identity.hash = value_of(record.labels, kHash);
  identity.boot_id = value_of(record.labels, kBoot);
  identity.host_network = value_of(record.labels, kHostNetwork) == "true";
  identity.message_from_logs = value_of(record.labels, kMessageFromLogs) == "true";
  for (const auto& [key, value] : record.labels) {
    if (!key.starts_with(kOwnPrefix) || value.empty()) continue;
    identity.pod_labels[key.substr(kOwnPrefix.size())] = value.substr(1);
  }
  for (const auto& [key, value] : record.labels) {
    const size_t space = value.find(' ');
    if (!key.starts_with(kVolumeImage) || space == std::string::npos) continue;
    identity.volume_images[key.substr(kVolumeImage.size())] = {value.substr(space + 1),
                                                               value.substr(0, space)};
  }
  return identity;
}

void add_size(const Resources& resources, StringMap& labels) {
  labels[kSize] = std::to_string(resources.cpu_limit_milli) + " " +
                  std::to_string(resources.cpu_request_milli) + " " +
                  std::to_string(resources.memory_limit) + " " +
                  std::to_string(resources.memory_request);
}

void add_volume_images(const std::map<std::string, std::pair<std::string, std::string>>& images,
                       StringMap& labels) {
  for (const auto& [volume, image] : images) {
    labels[std::string(kVolumeImage) + volume] = image.second + " " + image.first;
  }
}

void add_devices(const std::vector<HeldDevice>& devices, StringMap& labels) {
  for (size_t i = 0; i < devices.size(); ++i) {
    std::string number = devices[i].number.empty() ? "-" : devices[i].number;
    std::replace(number.begin(), number.end(), ' ', '_');
    labels[std::string(kDevice) + std::to_string(i)] =
        devices[i].resource + " " + number + " " + devices[i].unit;
  }
}

std::string kernel_boot_id() {
  const auto text = read_file("/proc/sys/kernel/random/boot_id", 64);
  return text ? std::string(trim(*text)) : std::string();
}

}  // namespace wherry::runtime
