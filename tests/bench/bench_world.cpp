#include "tests/bench/bench_world.h"

#include <sstream>
#include <stdexcept>

#include "tests/support/test_image.h"

namespace wherry::bench {
namespace {

using nlohmann::json;
using test::run_command;
using test::run_ok;
using test::wait_until;

constexpr const char* kImage = "registry.local/bench:1";
constexpr const char* kCommand = "trap 'exit 0' TERM; sleep 1000000 & wait";

// "2026-11-24 03:44:01.123456789 +0000 UTC wherry /tasks/start {…}" as `ctr events` prints it.
bool is_event(const std::string& line, const char* topic, WallTime& at) {
  if (line.find(topic) == std::string::npos || line.size() < 20) return false;
  const size_t zone = line.find(" +0000");
  if (zone == std::string::npos) return false;
  std::string text = line.substr(0, zone) + "Z";
  text[10] = 'T';
  const auto time = parse_rfc3339(text);
  if (time) at = *time;
  return time.has_value();
}

std::string run_plugin(const std::string& plugin, const std::string& command, const std::string& id,
                       const std::string& netns, const std::string& config) {
  const std::string script = "printf '%s' \"$1\" | CNI_COMMAND=" + command +
                             " CNI_CONTAINERID=" + id + " CNI_NETNS=" + netns +
                             " CNI_IFNAME=eth0 CNI_PATH=/usr/lib/cni /usr/lib/cni/" + plugin;
  return run_ok({"sh", "-c", script, "sh", config});
}

}  // namespace

World::World(bool broker_nodelay, std::vector<std::string> sets)
    : metrics_port_(test::free_port()) {
  test::ContainerdOptions daemon;
  daemon.extra_config =
      "[metrics]\n  address = \"127.0.0.1:" + std::to_string(metrics_port_) + "\"\n";
  containerd_ = std::make_unique<test::ContainerdDaemon>(daemon);
  test::MosquittoOptions broker;
  broker.tcp_nodelay = broker_nodelay;
  broker_ = std::make_unique<test::MosquittoBroker>(broker);
  test::WherryOptions options;
  options.containerd_socket = containerd_->socket();
  options.brokers = {broker_->url()};
  options.sets = std::move(sets);
  agent_ = std::make_unique<test::WherryDaemon>(options);
  fleet_ = std::make_unique<test::MqttClient>(broker_->port());
  agent_->start();
  if (!agent_->wait_ready())
    throw std::runtime_error("not ready: " + agent_->get("/readyz").body + agent_->log());
  const std::string ns = agent_->options().containerd_namespace;
  client_ = std::make_unique<runtime::Client>(
      runtime::ClientOptions{containerd_->socket(), ns, "overlayfs"});
  // One layer: its chain id is its diff id (image-spec, config.md#layer-chainid).
  floor_image_.name = kImage;
  floor_image_.chain_id = import_image(kImage, "").diff_ids.front();
  floor_image_.config.cmd = {"/bin/sh", "-c", kCommand};
  floor_image_.config.env = {"PATH=/bin"};
  test::ProcessOptions events;
  events.argv = {"ctr", "--address", containerd_->socket(), "--namespace", ns, "events"};
  events_ = std::make_unique<test::Process>(std::move(events));
}

test::TestImage World::import_image(const std::string& name, const std::string& salt) {
  test::ImageOptions options;
  options.cmd = {"/bin/sh", "-c", kCommand};
  if (!salt.empty()) options.files["/etc/salt"] = salt;
  auto image = test::make_busybox_archive(files_ / "image.tar", name, options);
  const auto imported = agent_->cli({"images", "import", image.path});
  if (imported.exit_code != 0) throw std::runtime_error(imported.err);
  return image;
}

std::string World::other_image() { return import_image("registry.local/bench:2", "2").name; }

json World::pod(const std::string& name, bool host_network, int host_port) {
  json made = test::simple_pod(name, kImage, {"/bin/sh", "-c", kCommand}, host_network);
  made["spec"]["terminationGracePeriodSeconds"] = 2;
  if (host_port > 0) {
    made["spec"]["containers"][0]["ports"] =
        json::array({{{"containerPort", 80}, {"hostPort", host_port}}});
  }
  return made;
}

WallTime World::publish(const std::vector<json>& pods) {
  last_ = test::desired_document(++revision_, pods);
  const WallTime before = SystemClock().wall();
  publish_again();
  return before;
}

void World::publish_again() {
  fleet_->publish_retained("wherry/v1/devices/" + agent_->options().device_id + "/desired", last_);
}

std::map<std::string, WallTime> World::events_of(const char* topic, WallTime since) const {
  std::istringstream lines(events_->out());
  std::map<std::string, WallTime> found;
  const std::string pattern = std::string(" ") + topic + " ";
  for (std::string line; std::getline(lines, line);) {
    WallTime at{};
    if (!is_event(line, pattern.c_str(), at) || at < since) continue;
    // An id begins with the name of its Pod, and the benchmark's Pods have no dash in theirs.
    constexpr std::string_view kId = "\"container_id\":\"";
    const size_t id = line.find(kId);
    if (id == std::string::npos) continue;
    const size_t begin = id + kId.size();
    found[line.substr(begin, line.find('-', begin) - begin)] = at;
  }
  return found;
}

WallTime World::started(WallTime since, size_t count) {
  std::map<std::string, WallTime> starts;
  const bool seen = wait_until(
      [&] {
        starts = events_of("/tasks/start", since);
        return starts.size() >= count;
      },
      std::chrono::minutes(2));
  if (!seen) throw std::runtime_error("tasks did not start: " + test::tail(agent_->log()));
  WallTime last{};
  for (const auto& [pod, at] : starts) last = std::max(last, at);
  return last;
}

WallTime World::pulled(WallTime since) {
  WallTime at{};
  const bool seen = wait_until(
      [&] {
        std::istringstream lines(events_->out());
        for (std::string line; std::getline(lines, line);) {
          if (is_event(line, " /images/create ", at) && at >= since) return true;
        }
        return false;
      },
      std::chrono::minutes(5));
  if (!seen) throw std::runtime_error("not pulled: " + test::tail(agent_->log()));
  return at;
}

json World::pod_of(const std::string& name, const std::string& image) {
  json made = test::simple_pod(name, image, {"/bin/sh", "-c", kCommand}, true);
  made["spec"]["terminationGracePeriodSeconds"] = 2;
  return made;
}

void World::settle(size_t workloads) {
  const bool done = wait_until(
      [&] {
        const json state = agent_->reported();
        if (!state.is_object() || state["desired"].empty()) return false;
        if (state["desired"][0]["state"] != "Applied") return false;
        return state["workloads"].size() == workloads;
      },
      std::chrono::minutes(2));
  if (!done) throw std::runtime_error("did not settle: " + agent_->reported().dump(1));
}

void World::clear() {
  publish({});
  settle(0);
}

int64_t World::container_calls() {
  const auto metrics = run_command(
      {"curl", "-fsS", "http://127.0.0.1:" + std::to_string(metrics_port_) + "/v1/metrics"});
  std::istringstream lines(metrics.out);
  int64_t calls = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.find("grpc_server_started_total{") != 0) continue;
    calls += std::stoll(line.substr(line.find_last_of(' ') + 1));
  }
  return calls;
}

Duration cni_add_by_hand(int index) {
  const SystemClock clock;
  const std::string name = "bench" + std::to_string(index);
  run_ok({"ip", "netns", "add", name});
  const std::string netns = "/run/netns/" + name;
  json bridge = {{"cniVersion", "0.4.0"},
                 {"name", "bench"},
                 {"type", "bridge"},
                 {"bridge", "bench0"},
                 {"isGateway", true},
                 {"ipMasq", true},
                 {"ipam",
                  {{"type", "host-local"},
                   {"dataDir", "/run/bench-ipam"},
                   {"ranges", json::array({json::array({{{"subnet", "10.250.0.0/16"}}})})},
                   {"routes", json::array({{{"dst", "0.0.0.0/0"}}})}}}};
  json portmap = {
      {"cniVersion", "0.4.0"},
      {"name", "bench"},
      {"type", "portmap"},
      {"capabilities", {{"portMappings", true}}},
      {"runtimeConfig",
       {{"portMappings",
         json::array(
             {{{"hostPort", 20000 + index}, {"containerPort", 80}, {"protocol", "tcp"}}})}}}};
  const MonoTime begin = clock.now();
  portmap["prevResult"] = json::parse(run_plugin("bridge", "ADD", name, netns, bridge.dump()));
  run_plugin("portmap", "ADD", name, netns, portmap.dump());
  const Duration took = clock.now() - begin;
  run_plugin("portmap", "DEL", name, netns, portmap.dump());
  run_plugin("bridge", "DEL", name, netns, bridge.dump());
  run_ok({"ip", "netns", "del", name});
  return took;
}

}  // namespace wherry::bench
