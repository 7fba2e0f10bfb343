#include "tests/support/wherry_daemon.h"

#include <stdexcept>
#include <sys/socket.h>

#include <httplib.h>

#include "base/files.h"
#include "base/text.h"

namespace wherry::test {
namespace {

using nlohmann::json;

std::string quoted(const std::string& text) { return json(text).dump(); }

httplib::Client client_for(const std::string& socket) {
  httplib::Client client(socket);
  client.set_address_family(AF_UNIX);
  client.set_default_headers({{"Host", "localhost"}});
  client.set_read_timeout(std::chrono::seconds(20));
  return client;
}

RestAnswer answer_from(const httplib::Result& result) {
  RestAnswer answer;
  if (!result) return answer;
  answer.status = result->status;
  answer.body = result->body;
  answer.content_type = result->get_header_value("Content-Type");
  return answer;
}

}  // namespace

WherryDaemon::WherryDaemon(WherryOptions options) : options_(std::move(options)) {
  if (options_.containerd_socket.empty()) options_.containerd_socket = dir_ / "no-containerd.sock";
  if (options_.brokers.empty())
    options_.brokers = {"mqtt://127.0.0.1:" + std::to_string(free_port())};
  if (options_.containerd_namespace.empty()) options_.containerd_namespace = "w" + random_hex(8);
  if (options_.binary.empty()) options_.binary = WHERRY_BIN_DIR "/wherryd";
  for (const std::string& path : {manifests_dir(), preload_dir(), dir_ / "certs.d", dir_ / "cni"}) {
    if (const Status made = make_directories(path); !made)
      throw std::runtime_error(made.error().full());
  }
}

WherryDaemon::~WherryDaemon() { stop(); }

std::string WherryDaemon::config_text() const {
  const auto list = [](const std::vector<std::string>& items) { return json(items).dump(); };
  return "device: { id: " + quoted(options_.device_id) + ", groups: " + list(options_.groups) +
         " }\n"
         "mqtt:\n"
         "  brokers: " +
         list(options_.brokers) +
         "\n"
         "  topic_prefix: " +
         quoted(options_.topic_prefix) +
         "\n"
         "  reconnect: { min: 50ms, max: 500ms }\n"
         "containerd:\n"
         "  address: " +
         quoted(options_.containerd_socket) +
         "\n"
         "  namespace: " +
         quoted(options_.containerd_namespace) +
         "\n"
         "  snapshotter: " +
         options_.snapshotter +
         "\n"
         "images:\n"
         "  hosts_dir: " +
         (dir_ / "certs.d") +
         "\n"
         "  preload_dir: " +
         preload_dir() +
         "\n"
         "network:\n"
         "  cni_conf_dir: " +
         (dir_ / "cni") +
         "\n"
         "  bridge_subnet: " +
         options_.bridge_subnet +
         "\n"
         "storage: { state_dir: " +
         state_dir() + ", run_dir: " + run_dir() +
         " }\n"
         "manifests: { dir: " +
         manifests_dir() +
         " }\n"
         "api: { socket: " +
         api_socket() +
         " }\n"
         "log: { level: info, format: text }\n";
}

void WherryDaemon::spawn() {
  write_text(config_file(), config_text());
  ProcessOptions options;
  options.argv = {options_.binary, "--config", config_file()};
  for (const std::string& set : options_.sets) {
    options.argv.emplace_back("--set");
    options.argv.push_back(set);
  }
  options.env = options_.env;
  options.output_path = dir_ / "wherryd.log";
  process_ = std::make_unique<Process>(std::move(options));
}

void WherryDaemon::start() {
  spawn();
  const bool alive =
      wait_until([this] { return get("/healthz").status != 0 || !process_->running(); });
  if (!alive || !process_->running())
    throw std::runtime_error("wherryd did not start: " + tail(log()));
}

int WherryDaemon::stop() {
  const int status = process_ ? process_->terminate() : 0;
  process_.reset();
  return status;
}

void WherryDaemon::kill() {
  if (process_) process_->kill();
  process_.reset();
}

bool WherryDaemon::wait_ready(Millis timeout) {
  return wait_until([this] { return get("/readyz").status == 200; }, timeout);
}

RestAnswer WherryDaemon::get(const std::string& path) {
  return noted("GET", path, answer_from(client_for(api_socket()).Get(path)));
}

RestAnswer WherryDaemon::request(const std::string& method, const std::string& path,
                                 const std::string& body, const std::string& content_type) {
  httplib::Request request;
  request.method = method;
  request.path = path;
  request.body = body;
  if (!body.empty()) request.set_header("Content-Type", content_type);
  return noted(method, path, answer_from(client_for(api_socket()).send(request)));
}

RestAnswer WherryDaemon::noted(const std::string& method, const std::string& target,
                               RestAnswer answer) {
  constexpr size_t kKept = 10;
  if (answer.status == 0) return answer;
  const std::string sort =
      method + target.substr(0, target.find('?')) + std::to_string(answer.status);
  const std::lock_guard lock(answers_mutex_);
  std::deque<RestAnswered>& same = answers_[sort];
  same.push_back({method, target, answer.status, answer.content_type, answer.body});
  if (same.size() > kKept) same.pop_front();
  return answer;
}

std::vector<RestAnswered> WherryDaemon::answers() const {
  std::vector<RestAnswered> all;
  const std::lock_guard lock(answers_mutex_);
  for (const auto& [sort, same] : answers_) all.insert(all.end(), same.begin(), same.end());
  return all;
}

json WherryDaemon::reported() {
  const RestAnswer answer = get("/v1/status");
  const json parsed = answer.status == 200 ? answer.json() : json();
  return parsed.is_discarded() ? json() : parsed;
}

json WherryDaemon::wait_reported(const std::function<bool(const json&)>& wanted, Millis timeout) {
  json last;
  [[maybe_unused]] const bool met = wait_until(
      [&] {
        last = reported();
        return !last.is_null() && wanted(last);
      },
      timeout);
  return last;
}

json WherryDaemon::workload(const std::string& name) {
  const json state = reported();
  if (!state.contains("workloads")) return {};
  for (const json& entry : state["workloads"]) {
    if (entry.value("name", "") == name) return entry;
  }
  return {};
}

bool WherryDaemon::wait_phase(const std::string& name, const std::string& phase, Millis timeout) {
  return wait_until(
      [&] {
        const json entry = workload(name);
        return entry.is_object() && entry.value("phase", "") == phase &&
               (phase != "Running" || entry.value("ready", false));
      },
      timeout);
}

CommandResult WherryDaemon::cli(std::vector<std::string> arguments) {
  std::vector<std::string> argv{WHERRY_BIN_DIR "/wherry", "--socket", api_socket()};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return run_command(std::move(argv));
}

std::string desired_document(int64_t revision, const json& items) {
  return json{{"apiVersion", "wherry/v1"},
              {"kind", "DesiredState"},
              {"metadata", {{"revision", revision}}},
              {"spec", {{"items", items}}}}
      .dump();
}

json simple_pod(const std::string& name, const std::string& image,
                const std::vector<std::string>& command, bool host_network) {
  json container = {{"name", name}, {"image", image}};
  if (!command.empty()) container["command"] = command;
  json spec = {{"containers", json::array({container})}};
  if (host_network) spec["hostNetwork"] = true;
  return {{"apiVersion", "v1"}, {"kind", "Pod"}, {"metadata", {{"name", name}}}, {"spec", spec}};
}

}  // namespace wherry::test
