#include <memory>

#include <nlohmann/json.hpp>

#include "agent/support/sections.h"
#include "runtime/containerd/client.h"

namespace wherry::support {
namespace {

using Json = nlohmann::ordered_json;
using runtime::Client;

std::string pretty(const Json& json) {
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string_view to_string(runtime::TaskState state) {
  switch (state) {
    case runtime::TaskState::Created:
      return "created";
    case runtime::TaskState::Running:
      return "running";
    case runtime::TaskState::Stopped:
      return "stopped";
    case runtime::TaskState::Paused:
      return "paused";
    case runtime::TaskState::Unknown:
      break;
  }
  return "unknown";
}

Result<std::string> containers(Client& client) {
  const auto records = client.containers().list({});
  if (!records) return fail(records.error());
  Json list = Json::array();
  for (const runtime::ContainerRecord& each : *records) {
    list.push_back({{"id", each.id},
                    {"image", each.image},
                    {"runtime", each.runtime_name},
                    {"snapshotter", each.snapshotter},
                    {"snapshot", each.snapshot_key},
                    {"createdAt", to_rfc3339(each.created_at)},
                    {"labels", each.labels}});
  }
  return pretty(list);
}

Result<std::string> tasks(Client& client) {
  const auto records = client.tasks().list();
  if (!records) return fail(records.error());
  Json list = Json::array();
  for (const runtime::TaskInfo& each : *records) {
    Json task{
        {"container", each.container_id}, {"state", to_string(each.state)}, {"pid", each.pid}};
    if (each.state == runtime::TaskState::Stopped) {
      task["exitCode"] = each.exit_code;
      task["exitedAt"] = to_rfc3339(each.exited_at);
    }
    list.push_back(std::move(task));
  }
  return pretty(list);
}

Result<std::string> images(Client& client) {
  const auto records = client.images().list();
  if (!records) return fail(records.error());
  Json list = Json::array();
  for (const runtime::ImageRecord& each : *records) {
    list.push_back({{"name", each.name},
                    {"digest", each.target.digest},
                    {"mediaType", each.target.media_type},
                    {"createdAt", to_rfc3339(each.created_at)},
                    {"labels", each.labels}});
  }
  return pretty(list);
}

Result<std::string> leases(Client& client) {
  const auto ids = client.leases().list();
  if (!ids) return fail(ids.error());
  Json list = Json::array();
  for (const std::string& id : *ids) {
    Json held = Json::array();
    if (const auto resources = client.leases().resources(id)) {
      for (const runtime::LeaseResource& each : *resources) {
        held.push_back({{"type", each.type}, {"id", each.id}});
      }
    }
    list.push_back({{"id", id}, {"holds", std::move(held)}});
  }
  return pretty(list);
}

Result<std::string> snapshots(Client& client) {
  const auto records = client.snapshots().list({});
  if (!records) return fail(records.error());
  Json list = Json::array();
  for (const runtime::SnapshotInfo& each : *records) {
    list.push_back({{"name", each.name},
                    {"parent", each.parent},
                    {"committed", each.committed},
                    {"labels", each.labels}});
  }
  return pretty(list);
}

}  // namespace

std::vector<Section> containerd_sections(const Config& config) {
  const Config::Containerd& where = config.containerd;
  // A connection of its own: one that hangs holds up nobody else.
  const auto client = std::make_shared<Client>(
      runtime::ClientOptions{where.address, where.namespace_, where.snapshotter});
  const auto of = [client](Result<std::string> (*make)(Client&)) {
    return [client, make](const CancelToken&) { return make(*client); };
  };
  return {{"containerd/containers.json", of(containers)},
          {"containerd/tasks.json", of(tasks)},
          {"containerd/images.json", of(images)},
          {"containerd/leases.json", of(leases)},
          {"containerd/snapshots.json", of(snapshots)}};
}

}  // namespace wherry::support
