#include "tests/support/system_fixture.h"

#include <filesystem>
#include <sstream>

#include "base/text.h"
#include "tests/support/asyncapi.h"

namespace wherry::test {
namespace {

using nlohmann::json;

void add_lines(std::set<std::string>& items, const std::string& kind, const std::string& text) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (!line.empty()) items.insert(kind + " " + line);
  }
}

void add_entries(std::set<std::string>& items, const std::string& kind, const std::string& path) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(path, error)) {
    items.insert(kind + " " + entry.path().filename().string());
  }
}

// iptables-save without counters, comments and the moment it was taken.
std::string rules() {
  const CommandResult saved = run_command({"iptables-save"});
  std::istringstream lines(saved.out);
  std::string kept;
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line[0] == '#') continue;
    if (const size_t counters = line.find(" ["); line[0] == ':' && counters != std::string::npos) {
      line.resize(counters);
    }
    // Built-in chains and the tables themselves appear as soon as somebody looks.
    if (line[0] == '*' || line == "COMMIT") continue;
    if (line[0] == ':' && line.find(" - ") == std::string::npos && !line.ends_with(" -")) continue;
    kept += line + "\n";
  }
  return kept;
}

}  // namespace

std::string Leftovers::beyond(const Leftovers& before) const {
  std::string text;
  for (const std::string& item : items) {
    if (!before.items.contains(item)) text += item + "\n";
  }
  return text;
}

void SystemTest::SetUp() {
  containerd_ = std::make_unique<ContainerdDaemon>(containerd_options());
  broker_ = std::make_unique<MosquittoBroker>();
  WherryOptions options;
  options.containerd_socket = containerd_->socket();
  options.brokers = {broker_->url()};
  // What an earlier test of this binary left in the network does not meet this one's.
  static int subnet = 100;
  options.bridge_subnet = "10." + std::to_string(subnet++) + ".0.0/16";
  configure(options);
  agent_ = std::make_unique<WherryDaemon>(options);
  fleet_ = std::make_unique<MqttClient>(broker_->port());
  fleet_->subscribe(options.topic_prefix + "/devices/#");
  tap_ = std::make_unique<MqttClient>(broker_->port());
  tap_->subscribe(options.topic_prefix + "/#");
  agent_->start();
  ASSERT_TRUE(agent_->wait_ready()) << agent_->get("/readyz").body << tail(agent_->log());
  import_image(kImage);
}

void SystemTest::TearDown() {
  if (tap_ && agent_) {
    SchemaJudge judge;
    AsyncApi().add(tap_->messages(), agent_->options().topic_prefix, false, judge);
    OpenApi().add(agent_->answers(), judge);
    const auto problems = judge.problems();
    EXPECT_TRUE(problems.empty()) << json(problems).dump(1);
  }
  if (HasFailure() && agent_) std::fprintf(stderr, "%s\n", tail(agent_->log(), 60).c_str());
}

std::string SystemTest::desired_topic() const {
  return agent_->options().topic_prefix + "/devices/" + agent_->options().device_id + "/desired";
}

void SystemTest::publish(int64_t revision, const std::vector<json>& items) {
  publish_text(desired_document(revision, items));
}

void SystemTest::publish_text(const std::string& payload) {
  fleet_->publish_retained(desired_topic(), payload);
}

json SystemTest::wait_upstream(const std::function<bool(const json&)>& wanted, Millis timeout) {
  const std::string topic =
      agent_->options().topic_prefix + "/devices/" + agent_->options().device_id + "/reported";
  json newest;
  const bool seen = wait_until(
      [&] {
        const auto message = fleet_->last(topic);
        if (!message) return false;
        newest = json::parse(message->payload, nullptr, false);
        return !newest.is_discarded() && wanted(newest);
      },
      timeout);
  EXPECT_TRUE(seen) << "last reported: " << newest.dump(1);
  return newest;
}

json SystemTest::running(const std::string& name) {
  EXPECT_TRUE(agent_->wait_phase(name, "Running"))
      << name << ": " << agent_->workload(name).dump(1) << tail(agent_->log());
  const json workload = agent_->workload(name);
  if (workload.is_null() || workload["containers"].empty()) return {};
  return workload["containers"][0];
}

std::map<std::string, int> SystemTest::tasks() {
  std::map<std::string, int> found;
  const std::string ns = agent_->options().containerd_namespace;
  std::istringstream lines(containerd_->ctr(ns, {"tasks", "list"}).out);
  std::string id, pid, status;
  std::getline(lines, id);  // the headings
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    if (fields >> id >> pid >> status && status == "RUNNING") found[id] = std::stoi(pid);
  }
  return found;
}

int SystemTest::pid_of(const std::string& workload, const std::string& container) {
  const std::string ns = agent_->options().containerd_namespace;
  const std::string wanted = container.empty() ? workload : container;
  for (const auto& [id, pid] : tasks()) {
    const json info =
        json::parse(containerd_->ctr(ns, {"containers", "info", id}).out, nullptr, false);
    if (info.is_discarded()) continue;
    const json labels = info.value("Labels", json::object());
    if (labels.value("wherry/pod", "") == workload &&
        labels.value("wherry/container", "") == wanted) {
      return pid;
    }
  }
  return 0;
}

Leftovers SystemTest::leftovers() {
  Leftovers all;
  const std::string ns = agent_->options().containerd_namespace;
  add_lines(all.items, "container", containerd_->ctr(ns, {"containers", "list", "-q"}).out);
  add_lines(all.items, "task", containerd_->ctr(ns, {"tasks", "list", "-q"}).out);
  add_lines(all.items, "lease", containerd_->ctr(ns, {"leases", "list", "-q"}).out);
  std::istringstream snapshots(containerd_->ctr(ns, {"snapshots", "list"}).out);
  for (std::string line; std::getline(snapshots, line);) {
    if (line.find("Active") != std::string::npos) all.items.insert("snapshot " + line);
  }
  add_entries(all.items, "netns", agent_->run_dir() + "/netns");
  add_entries(all.items, "cni", agent_->run_dir() + "/cni");
  add_entries(all.items, "pid namespace", agent_->run_dir() + "/pids");
  add_lines(all.items, "first process",
            run_command({"sh", "-c", "grep -lw pause /proc/[0-9]*/comm 2>/dev/null || true"}).out);
  add_entries(all.items, "run pod", agent_->run_dir() + "/pods");
  add_entries(all.items, "state pod", agent_->state_dir() + "/pods");
  add_entries(all.items, "log", agent_->state_dir() + "/logs");
  std::error_code error;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(agent_->run_dir() + "/ipam", error)) {
    const std::string name = entry.path().filename().string();
    if (entry.is_regular_file() && name.find('.') != std::string::npos &&
        !name.starts_with("last_reserved")) {
      all.items.insert("address " + name);
    }
  }
  add_lines(all.items, "iptables", rules());
  add_lines(all.items, "link", run_command({"ip", "-br", "link"}).out);
  add_lines(all.items, "mount",
            run_command({"sh", "-c",
                         "awk '{print $2}' /proc/self/mounts | grep -F " + agent_->directory() +
                             "/ || true"})
                .out);
  return all;
}

void SystemTest::expect_back_to(const Leftovers& before) {
  Leftovers now;
  EXPECT_TRUE(wait_until([&] {
    now = leftovers();
    return now.beyond(before).empty();
  })) << "left over:\n"
      << now.beyond(before);
}

void SystemTest::import_image(const std::string& name, const ImageOptions& options) {
  const std::string path = files_ / (random_hex(8) + ".tar");
  make_busybox_archive(path, name, options);
  const CommandResult imported = agent_->cli({"images", "import", path});
  ASSERT_EQ(imported.exit_code, 0) << imported.out << imported.err << tail(agent_->log());
}

json SystemTest::sleeper(const std::string& name, bool host_network) {
  json pod = simple_pod(name, kImage, {"/bin/sh", "-c", "trap 'exit 0' TERM; sleep 1000000 & wait"},
                        host_network);
  pod["spec"]["terminationGracePeriodSeconds"] = 5;
  return pod;
}

json workload_in(const json& reported, const std::string& name) {
  if (!reported.is_object()) return {};
  for (const json& workload : reported.value("workloads", json::array())) {
    if (workload.value("name", "") == name) return workload;
  }
  return {};
}

json document_in(const json& reported) {
  if (!reported.is_object()) return json::object();
  const json documents = reported.value("desired", json::array());
  return documents.empty() ? json::object() : documents[0];
}

bool in_phase(const json& reported, const std::string& name, const std::string& phase) {
  const json workload = workload_in(reported, name);
  return workload.is_object() && workload.value("phase", "") == phase;
}

}  // namespace wherry::test
