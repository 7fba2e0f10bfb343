#include "agent/support/sections.h"

#include <set>

#include <nlohmann/json.hpp>

#include "agent/config/keys.h"
#include "agent/manifest/without_secrets.h"
#include "agent/reconcile/event_json.h"
#include "agent/reconcile/why.h"
#include "base/files.h"
#include "base/text.h"

namespace wherry::support {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kEvents = 2000, kFewEvents = 200;
constexpr size_t kEventsAtOnce = 500;

std::string pretty(const Json& json) {
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string laid_out(const std::string& json) {
  const Json parsed = Json::parse(json, nullptr, false);
  return parsed.is_discarded() ? json : pretty(parsed);
}

std::string versions_text(const BundleParts& parts) {
  const DeviceView device = parts.board.get()->device;
  return pretty({{"wherryd", parts.version},
                 {"containerd", device.containerd},
                 {"kernel", device.kernel},
                 {"os", device.os},
                 {"arch", device.arch}});
}

std::string images_text(const StateView& view) {
  Json list = Json::array();
  for (const ImageView& each : view.images) {
    list.push_back({{"name", each.name},
                    {"digest", each.digest},
                    {"sizeBytes", each.size_bytes},
                    {"users", each.users},
                    {"lastUsed", to_rfc3339(each.last_used)},
                    {"kept", to_string(each.kept)}});
  }
  return pretty(list);
}

// Nothing where a file of that name can be had.
std::string why_missing(const std::string& name, const BundleWishes& wishes) {
  static const std::set<std::string> kOfAgent{"status.json",    "why.json",    "events.ndjson",
                                              "desired.ndjson", "images.json", "metrics.txt"};
  if (wishes.outside && kOfAgent.contains(name)) {
    return "only wherryd knows it, and it does not run";
  }
  if (wishes.outside && name == kAgentLog) {
    return "only wherryd, which does not run, can tell which secrets may be in it; look through "
           "journalctl -u wherryd yourself, and send what matters";
  }
  if (wishes.unconfigured && (name == "configuration.yaml" || name.starts_with("containerd/"))) {
    return "the configuration cannot be read: check.json says why";
  }
  return {};
}

std::string why_text(const StateView& view) {
  Json list = Json::array();
  for (const WorkloadView& each : view.workloads) list.push_back(why_json(view, each));
  return pretty(list);
}

}  // namespace

std::vector<Section> sections(const BundleParts& parts, const BundleWishes& wishes) {
  const size_t events = wishes.brief ? kFewEvents : kEvents;
  const auto plain = [](auto make) {
    return [make](const CancelToken&) -> Result<std::string> { return make(); };
  };
  std::vector<Section> all{
      {"check.json",
       [&parts](const CancelToken& cancel) -> Result<std::string> {
         const auto report = parts.check(cancel);
         if (!report) return fail(report.error());
         return laid_out(*report);
       }},
      {"status.json", plain([&parts] { return laid_out(to_reported_json(*parts.board.get())); })},
      {"why.json", plain([&parts] { return why_text(*parts.board.get()); })},
      {"events.ndjson",
       [&parts, events](const CancelToken&) { return events_text(parts, events); }},
      {"desired.ndjson", [&parts](const CancelToken&) { return desired_text(parts); }},
      {"configuration.yaml", plain([&parts] { return configuration_text(parts.config); })},
      {"versions.json", plain([&parts] { return versions_text(parts); })},
      {"images.json", plain([&parts] { return images_text(*parts.board.get()); })}};
  if (!wishes.brief) all.push_back({"metrics.txt", plain([&parts] { return parts.metrics(); })});
  for (Section& each : containerd_sections(parts.config)) all.push_back(std::move(each));
  for (Section& each : system_sections(parts, wishes)) all.push_back(std::move(each));
  for (Section& each : all) {
    const std::string why = why_missing(each.name, wishes);
    if (why.empty()) continue;
    each.make = [why](const CancelToken&) { return fail(Code::Unavailable, why); };
  }
  return all;
}

// The newest, oldest of them first.
Result<std::string> events_text(const BundleParts& parts, size_t most) {
  std::vector<std::string> lines;
  int64_t after = 0;
  while (true) {
    const auto events = parts.events(after, kEventsAtOnce);
    if (!events) return fail(events.error());
    for (const EventRecord& each : *events) lines.push_back(event_record(each) + "\n");
    if (events->size() < kEventsAtOnce) break;
    after = events->back().number;
  }
  std::string all;
  for (size_t i = lines.size() > most ? lines.size() - most : 0; i < lines.size(); ++i) {
    all += lines[i];
  }
  return all;
}

Result<std::string> desired_text(const BundleParts& parts) {
  const auto documents = parts.documents();
  if (!documents) return fail(documents.error());
  std::string all;
  for (const StoredDocument& each : *documents) {
    if (each.payload.empty()) continue;
    Json json{{"source", each.source},
              {"revision", each.revision},
              {"digest", each.digest},
              {"acceptedAt", to_rfc3339(each.accepted_at)}};
    all += json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
    all += without_secrets(each.payload);
  }
  return all;
}

std::string configuration_text(const Config& config) {
  std::string all =
      "# As wherryd goes by it. What keeps a secret is named here, and is not in here.\n";
  for (const config::Key& key : config::keys()) {
    all.append(key.path).append(": ").append(key.show(config)).append("\n");
  }
  return all;
}

Scrubber known_secrets(const BundleParts& parts) {
  Scrubber scrubber;
  const Config& config = parts.config;
  for (const std::string& path :
       {config.mqtt.password_file, config.mqtt.key_file, pin_file_of(config.mqtt.key_file),
        config.api.token_file, config.images.docker_config}) {
    scrubber.add_file(path);
  }
  for (const auto& documents : {parts.documents(), parts.superseded()}) {
    if (!documents) continue;
    for (const StoredDocument& each : *documents) {
      for (const std::string& value : secret_values(each.payload)) scrubber.add(value);
    }
  }
  for (const std::string& each : parts.local_manifests()) {
    for (const std::string& value : secret_values(each)) scrubber.add(value);
  }
  return scrubber;
}

}  // namespace wherry::support
