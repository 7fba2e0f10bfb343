// A forecast as its readers get it: docs/rest.md.

#include <array>

#include <nlohmann/json.hpp>

#include "agent/reconcile/forecast.h"

namespace wherry {
namespace {

using Json = nlohmann::ordered_json;

const char* word_of(Change change) {
  constexpr std::array<const char*, 5> kWords{"create", "replace", "update", "remove", "unchanged"};
  return kWords.at(static_cast<size_t>(change));
}

Json cause_json(const Cause& cause) {
  return {{"reason", cause.reason}, {"message", cause.message}};
}

Json workload_json(const WorkloadForecast& workload) {
  Json json{{"name", workload.name},
            {"change", word_of(workload.change)},
            {"reason", workload.cause.reason},
            {"message", workload.cause.message},
            {"differences", workload.differences},
            {"source", workload.source}};
  if (!workload.owner.empty()) json["owner"] = workload.owner;
  json["obstacle"] = workload.obstacle ? cause_json(*workload.obstacle) : Json(nullptr);
  return json;
}

Json image_json(const ImageForecast& image) {
  const runtime::ImageEstimate& estimate = image.estimate;
  const bool known = !estimate.error;
  const auto or_null = [&](auto value) { return known ? Json(value) : Json(nullptr); };
  Json json{{"image", estimate.reference},
            {"workloads", image.workloads},
            {"digest", or_null(estimate.digest)},
            {"downloadBytes", or_null(estimate.download_bytes)},
            {"diskBytes", or_null(estimate.disk_bytes)}};
  json["problem"] =
      known ? Json(nullptr)
            : cause_json({std::string(estimate.error->reason()), estimate.error->full()});
  return json;
}

Json disk_json(const runtime::DiskEstimate& disk) {
  return {{"path", disk.path},
          {"holds", disk.holds},
          {"neededBytes", disk.needed},
          {"freeBytes", disk.free},
          {"removableBytes", disk.removable},
          {"reservedBytes", disk.reserved},
          {"fits", disk.fits()}};
}

// `limit` is null where it is not known.
Json resource_json(const std::string& name, bool known, int64_t limit, int64_t before,
                   int64_t after) {
  return {{"resource", name},
          {"limit", known ? Json(limit) : Json(nullptr)},
          {"before", before},
          {"after", after},
          {"left", known ? Json(limit - after) : Json(nullptr)}};
}

Json resources_json(const Forecast& forecast) {
  Json list = Json::array();
  const auto add = [&](const char* name, int64_t Amounts::*field) {
    list.push_back(resource_json(name, forecast.device.*field > 0, forecast.after.limit.*field,
                                 forecast.before.wanted.*field, forecast.after.wanted.*field));
  };
  add("memory", &Amounts::memory);
  add("cpu", &Amounts::cpu_milli);
  add("ephemeral-storage", &Amounts::storage);
  const auto of = [](const Amounts& amounts, const std::string& name) {
    const auto found = amounts.extended.find(name);
    return found == amounts.extended.end() ? 0 : found->second;
  };
  std::set<std::string> names;
  for (const Amounts* each :
       {&forecast.after.limit, &forecast.before.wanted, &forecast.after.wanted}) {
    for (const auto& [name, amount] : each->extended) names.insert(name);
  }
  for (const std::string& name : names) {
    list.push_back(resource_json(name, true, of(forecast.after.limit, name),
                                 of(forecast.before.wanted, name),
                                 of(forecast.after.wanted, name)));
  }
  return list;
}

}  // namespace

std::string to_json(const Forecast& forecast) {
  bool possible = true;
  int64_t download = 0;
  Json workloads = Json::array(), images = Json::array(), disks = Json::array(),
       down = Json::array(), warnings = Json::array();
  for (const WorkloadForecast& each : forecast.workloads) {
    possible = possible && !each.obstacle;
    workloads.push_back(workload_json(each));
  }
  for (const ImageForecast& each : forecast.images) {
    download += each.estimate.download_bytes;
    images.push_back(image_json(each));
  }
  for (const runtime::DiskEstimate& each : forecast.disks) disks.push_back(disk_json(each));
  for (const Downtime& each : forecast.down) {
    Json json{{"name", each.name}};
    json.update(cause_json(each.cause));
    down.push_back(std::move(json));
  }
  for (const Finding& each : forecast.warnings) {
    warnings.push_back({{"path", each.path}, {"message", each.message}});
  }
  const Json json{{"source", forecast.source},
                  {"revision", forecast.revision},
                  {"digest", forecast.digest},
                  {"possible", possible},
                  {"workloads", std::move(workloads)},
                  {"images", std::move(images)},
                  {"downloadBytes", download},
                  {"disks", std::move(disks)},
                  {"resources", resources_json(forecast)},
                  {"down", std::move(down)},
                  {"warnings", std::move(warnings)}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace wherry
