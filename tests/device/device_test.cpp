#include "tests/device/device_test.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <sstream>
#include <stdexcept>

#include "tests/device/step.h"
#include "tests/support/batch_receiver.h"
#include "tests/support/net.h"
#include "tests/support/test_image.h"
#include "tests/support/wherry_daemon.h"

namespace wherry::test {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr const char* kDevice = "pump-7";
constexpr const char* kSource = "devices/pump-7";
constexpr const char* kTopic = "wherry/v1/devices/pump-7";
constexpr size_t kProducers = 3;
constexpr uint64_t kLayerSize = 2 << 20;
constexpr const char* kApt = "DEBIAN_FRONTEND=noninteractive apt-get install --yes ";

}  // namespace

std::string DeviceTest::tls_listener(int port, const std::string& host) {
  const Certificate server = authority_.issue(host);
  return "listener " + std::to_string(port) + " 127.0.0.1\ncafile " + authority_.certificate() +
         "\ncertfile " + server.certificate + "\nkeyfile " + server.key +
         "\ntls_version tlsv1.2\nrequire_certificate true\nuse_identity_as_username true\n";
}

DeviceTest::DeviceTest(DeviceTestOptions options)
    : options_(std::move(options)),
      random_(options_.seed),
      device_port_(free_port()),
      fleet_port_(free_port()),
      fleet_(authority_.issue("fleet-manager")),
      broker_(std::make_unique<MosquittoBroker>(
          MosquittoOptions{.tcp_nodelay = true,
                           .extra_config = tls_listener(device_port_, "broker.test") +
                                           tls_listener(fleet_port_, "127.0.0.1")})) {
  const Certificate server = authority_.issue("registry.test");
  RegistryOptions registry;
  registry.certificate = server.certificate;
  registry.key = server.key;
  registry_ = std::make_unique<Registry>(registry);
  receiver_ = std::make_unique<MqttClient>(broker_->port());
  receiver_->subscribe(std::string(kTopic) + "/#", 1);
  machine_ = std::make_unique<Machine>(MachineOptions{.architecture = options_.architecture,
                                                      .image_dir = options_.image_dir,
                                                      .scratch_dir = options_.scratch_dir,
                                                      .payload = make_payload()});
}

// What an administrator carries to the device: the packages, certificates, and three lines.
std::string DeviceTest::make_payload() {
  const std::string dir = options_.scratch_dir + "/payload";
  std::filesystem::create_directory(dir);
  const auto copy = [&dir](const std::string& from, const char* name) {
    std::filesystem::copy_file(from, dir + "/" + name);
  };
  const Certificate device = authority_.issue(kDevice);
  copy(options_.package, "wherry.deb");
  copy(options_.newer_package, "newer.deb");
  copy(authority_.certificate(), "ca.pem");
  copy(device.certificate, "device.pem");
  copy(device.key, "device.key");
  write_text(dir + "/10-device.yaml",
             std::string("device: { id: ") + kDevice +
                 " }\nmqtt: { brokers: [\"mqtts://broker.test:" + std::to_string(device_port_) +
                 "\"], ca_file: /etc/wherry/ca.pem,\n"
                 "        cert_file: /etc/wherry/device.pem, key_file: /etc/wherry/device.key }\n");
  write_text(dir + "/hosts.toml",
             "server = \"https://registry.test:" + std::to_string(registry_->port()) +
                 "\"\nca = \"/etc/wherry/ca.pem\"\n");
  const std::string tar = options_.scratch_dir + "/payload.tar";
  run_ok({"tar", "-C", dir, "--owner=0", "--group=0", "-cf", tar, "."});
  return tar;
}

// Its name on the device. Each has layers that no other has, so that there is something to pull.
std::string DeviceTest::push_image(const std::string& tag) {
  const std::string name = "registry.test:" + std::to_string(registry_->port()) + "/app:" + tag;
  ImageOptions image;
  image.files = {{"/tag", tag}};
  image.extra_layers = {kLayerSize + revision_, kLayerSize};
  image.busybox = options_.image_dir + "/busybox";
  image.architecture = options_.architecture;
  make_busybox_archive(files_ / "image.tar", name, image);
  registry_->push(files_ / "image.tar", "app:" + tag);
  return name;
}

void DeviceTest::publish(const std::string& image, const json& others) {
  ++revision_;
  const std::string page = "revision " + std::to_string(revision_);
  json web = simple_pod(
      "web", image,
      {"/bin/sh", "-c", "echo " + page + " >/www/index.html; exec httpd -f -p 80 -h /www"}, false);
  json pump = simple_pod("pump", first_image_, {"/bin/sh", "-c", "sleep 1000000"}, false);
  pump["metadata"]["annotations"]["wherry/data-api"] = "true";
  json pods = json::array({web, pump});
  pods.insert(pods.end(), others.begin(), others.end());
  for (json& pod : pods) pod["spec"]["terminationGracePeriodSeconds"] = 1;
  write_text(files_ / "document.json", desired_document(static_cast<int64_t>(revision_), pods));
  run_ok({"mosquitto_pub", "-h", "127.0.0.1", "-p", std::to_string(fleet_port_), "--cafile",
          authority_.certificate(), "--cert", fleet_.certificate, "--key", fleet_.key, "-q", "1",
          "-r", "-t", std::string(kTopic) + "/desired", "-f", files_ / "document.json"});
}

void DeviceTest::listen() {
  for (const MqttMessage& message : receiver_->take()) {
    judge_.take(message, kTopic);
    if (message.topic == std::string(kTopic) + "/telemetry") note_pressure(plain_payload(message));
    if (message.topic != std::string(kTopic) + "/reported") continue;
    json fresh = json::parse(plain_payload(message), nullptr, false);
    require(fresh.is_object(), "reported is no JSON: " + message.payload);
    reported_ = std::move(fresh);
    const json source = entry_of(reported_, "desired", "source", kSource);
    if (source.is_object()) told_ = std::max(told_, source.value("revision", uint64_t{0}));
  }
}

bool DeviceTest::applied(const json& reported) const {
  const json source = entry_of(reported, "desired", "source", kSource);
  return source.is_object() && source.value("revision", uint64_t{0}) == revision_ &&
         source.value("state", "") == "Applied" && runs(reported, "web") && runs(reported, "pump");
}

void DeviceTest::note_pressure(const std::string& batch) {
  const json all = json::parse(batch, nullptr, false);
  for (const json& record : all.is_object() ? all.value("records", json::array()) : json::array()) {
    stalled_ = std::max(stalled_,
                        record.value("/node/pressureStalledRatio/memory"_json_pointer, double{0}));
  }
}

json DeviceTest::wait_told(const std::string& workload, const std::string& what,
                           const std::function<bool(const json&)>& wanted) {
  json last;
  const bool so = wait_until(
      [&] {
        listen();
        last = workload_in(reported_, workload);
        return last.is_object() && wanted(last);
      },
      kPatience);
  require(so, workload + " " + what + ": " + last.dump(1));
  return last;
}

void DeviceTest::wait_applied() {
  const bool so = wait_until(
      [this] {
        listen();
        return applied(reported_);
      },
      kPatience);
  require(so, "revision " + std::to_string(revision_) + " is not applied: " + reported_.dump(1));
}

json DeviceTest::status() {
  const GuestResult answer = machine_->run("wherry status -o json");
  return answer.exit_code == 0 ? json::parse(answer.output, nullptr, false) : json();
}

void DeviceTest::wait_running(const std::vector<std::string>& workloads) {
  json last;
  const bool so = wait_until(
      [&] {
        last = status();
        return std::all_of(workloads.begin(), workloads.end(),
                           [&last](const std::string& name) { return runs(last, name); });
      },
      kPatience);
  require(so, "workloads do not run: " + last.dump(1));
}

std::string DeviceTest::containers() {
  return machine_->check(
      "set -e; ctr -n wherry tasks list | tail -n +2 | sort | while read -r id pid state; do "
      "echo $id $pid $state $(cut -d ' ' -f 22 /proc/$pid/stat); done");
}

void DeviceTest::print_ready(const std::string& when) {
  std::istringstream times(machine_->check(
      "until curl -fs --unix-socket /run/wherry/api.sock http://localhost/readyz >/dev/null; do :; "
      "done; read -r up _ </proc/uptime; "
      "for p in InactiveExit ActiveEnter; do "
      "systemctl show -p ${p}TimestampMonotonic --value wherryd; done; echo $up"));
  double started = 0, notified = 0, seen = 0;
  times >> started >> notified >> seen;
  say("  ready %s: %.2f s after the start of the unit; /readyz at most %.2f s after it",
      when.c_str(), (notified - started) / 1e6, seen - started / 1e6);
}

void DeviceTest::install() {
  auto start = Clock::now();
  // Installing syncs thousands of files, which takes minutes on an emulated disk.
  machine_->boot(Machine::Cable::In, Machine::Flushes::Ignored);
  say("  booted in %.0f s: %s", seconds_since(start),
      machine_
          ->check(". /etc/os-release; echo $PRETTY_NAME, $(uname -r), $(stat -fc %T "
                  "/sys/fs/cgroup), $(nproc) processors")
          .c_str());
  require(machine_->run("stat -fc %T /sys/fs/cgroup | grep -q cgroup2fs").exit_code == 0,
          "the device has no cgroups v2");
  machine_->check("mkdir /root/payload && tar -xf /dev/vdb -C /root/payload");
  start = Clock::now();
  machine_->check(std::string("cd /root/payload && ") + kApt + "./wherry.deb");
  say("  apt install ./wherry.deb took %.0f s", seconds_since(start));
  const std::string certs =
      "/etc/containerd/certs.d/registry.test:" + std::to_string(registry_->port());
  machine_->check(
      "cd /root/payload && install -m 644 ca.pem device.pem /etc/wherry/ && "
      "install -m 600 device.key /etc/wherry/ && mkdir -p /etc/wherry/wherry.d && "
      "cp 10-device.yaml /etc/wherry/wherry.d/ && install -D -m 644 hosts.toml " +
      certs + "/hosts.toml && wherryd --check-config && systemctl restart wherryd");
  machine_->wait("wherry status", "wherryd answers");
  first_image_ = push_image("first");
  start = Clock::now();
  publish(first_image_);
  wait_applied();
  say("  %.1f s from mosquitto_pub over TLS to both workloads running, image pulled",
      seconds_since(start));
  const std::string ip = workload_in(reported_, "web").value("ip", "");
  machine_->wait("curl -fs http://" + ip + "/ | grep -qx 'revision 1'", "the page is served");
}

void DeviceTest::watchdog() {
  const std::string before = containers();
  const std::string pid = machine_->check("systemctl show -p MainPID --value wherryd");
  const auto start = Clock::now();
  machine_->check("kill -STOP " + pid);
  machine_->wait("p=$(systemctl show -p MainPID --value wherryd); [ $p != 0 ] && [ $p != " + pid +
                     " ] && wherry status",
                 "systemd starts another wherryd");
  require(machine_->run("journalctl -u wherryd | grep -qi 'watchdog timeout'").exit_code == 0,
          "it was not the watchdog that ended wherryd");
  say("  frozen, ended by the watchdog and back in %.0f s", seconds_since(start));
  wait_running({"web", "pump"});
  require(containers() == before, "the containers are not the same: " + before + containers());
  say("  the same containers:\n%s", before.c_str());
}

void DeviceTest::upgrade() {
  const std::string before = containers();
  for (const char* package : {"newer.deb", "wherry.deb"}) {
    const std::string pid = machine_->check("systemctl show -p MainPID --value wherryd");
    machine_->check(std::string("cd /root/payload && ") + kApt + "--allow-downgrades ./" + package);
    require(machine_->check("systemctl show -p MainPID --value wherryd") != pid,
            "wherryd was not started anew");
    machine_->wait("wherry status", "wherryd answers");
    wait_running({"web", "pump"});
    require(containers() == before, "the containers are not the same: " + before + containers());
    say("  version %s is installed, the containers are the same",
        machine_->check("dpkg-query -W -f '${Version}' wherry").c_str());
  }
}

void DeviceTest::reboot_without_network() {
  const std::string boot = reported_["device"].value("boot", "");
  machine_->shut_down();
  const auto start = Clock::now();
  machine_->boot(Machine::Cable::Out);
  machine_->wait("wherry status", "wherryd answers");
  wait_running({"web", "pump"});
  say("  both workloads run again %.0f s after the power came, without a network",
      seconds_since(start));
  print_ready("while it boots");
  machine_->plug_in();
  const bool told = wait_until(
      [&] {
        listen();
        return reported_["device"].value("boot", "") != boot && applied(reported_);
      },
      kPatience);
  require(told, "nothing is reported after the cable was plugged in");
  machine_->check("systemctl restart wherryd");
  print_ready("when restarted");
}

// The agent has its databases for itself: it is stopped meanwhile, as no container minds. Copies
// are looked at: sqlite3 would write a log back that the agent left, and remove it.
void DeviceTest::check_store() {
  machine_->check(
      "set -e; systemctl stop wherryd; cd /var/lib/wherry; "
      "for aside in *.corrupt-*; do [ ! -e \"$aside\" ]; done; rm -rf /root/copies; "
      "mkdir /root/copies; cp *.db /root/copies; cp *.db-wal /root/copies 2>/dev/null || :; "
      "cd /root/copies; "
      "for database in *.db; do said=$(sqlite3 $database 'PRAGMA integrity_check'); "
      "[ \"$said\" = ok ] || { echo $database: $said; exit 1; }; done; systemctl start wherryd");
  require(machine_->run("dmesg | grep -q 'EXT4-fs error'").exit_code != 0,
          "the file system has an error");
}

void DeviceTest::check_offline(uint64_t told, bool was_applied) {
  machine_->wait("wherry status", "wherryd answers after the power came back");
  const json source = entry_of(status(), "desired", "source", kSource);
  const uint64_t kept = source.is_object() ? source.value("revision", uint64_t{0}) : 0;
  require(kept >= told && kept <= revision_, "revision " + std::to_string(told) +
                                                 " was accepted, but the device has " +
                                                 std::to_string(kept) + " after the power cut");
  check_store();
  wait_running({"pump"});
  if (was_applied) wait_running({"web", "pump"});
  // In the version before this one where the cut came before its image was there.
  std::string page;
  const bool served = wait_until(
      [&] {
        const std::string ip = workload_in(status(), "web").value("ip", "");
        if (ip.empty()) return false;
        page = machine_->run("curl -fs -m 5 http://" + ip + "/").output;
        return page.starts_with("revision ");
      },
      kPatience);
  require(served, "web runs in no version: " + status().dump(1));
  say("    without a network it serves %s, and has accepted %llu", page.c_str(),
      static_cast<unsigned long long>(kept));
}

void DeviceTest::check_no_leftovers() {
  machine_->wait(
      "[ $(ctr -n wherry containers list -q | wc -l) = 2 ] && [ -z \"$(ctr -n wherry leases list "
      "-q)\" ] && [ $(ls /run/wherry/netns | wc -l) = 2 ] || { ctr -n wherry containers list; ctr "
      "-n wherry leases list; ls /run/wherry/netns; false; }",
      "nothing is left of what was cut off");
}

void DeviceTest::cut_and_check(int number, Millis most) {
  publish(push_image("cut-" + std::to_string(number)));
  const Millis after{std::uniform_int_distribution<Millis::rep>(0, most.count())(random_)};
  (void)wait_until([] { return false; }, after);
  machine_->cut_power();
  listen();
  const bool was_applied = applied(reported_);
  say("  cut %d: %lld ms after revision %llu was published; told of %llu%s", number,
      static_cast<long long>(after.count()), static_cast<unsigned long long>(revision_),
      static_cast<unsigned long long>(told_), was_applied ? ", applied" : "");
  const auto start = Clock::now();
  machine_->boot(Machine::Cable::Out);
  check_offline(told_, was_applied);
  const double back = seconds_since(start);
  machine_->plug_in();
  wait_applied();
  check_no_leftovers();
  say("    store intact, workloads back after %.0f s, applied after %.0f s; %llu records accepted",
      back, seconds_since(start), static_cast<unsigned long long>(producers_->accepted()));
}

void DeviceTest::power_cuts(int count) {
  producers_ = std::make_unique<RecordProducers>(
      [port = machine_->data_port()](const std::string& request) { return ask_tcp(port, request); },
      files_ / "accepted", kProducers, random_());
  require(wait_until([this] { return producers_->accepted() > 0; }, kPatience),
          "no record is accepted");
  const auto start = Clock::now();
  publish(push_image("uncut"));
  wait_applied();
  const auto whole = std::chrono::duration_cast<Millis>(Clock::now() - start);
  say("  left alone, a new image is pulled and runs after %.1f s", seconds_since(start));
  for (int number = 1; number <= count; ++number) cut_and_check(number, whole);

  const std::vector<uint32_t> last = producers_->finish();
  const bool all = wait_until(
      [&] {
        listen();
        for (size_t i = 0; i < kProducers; ++i) {
          if (!judge_.has(RecordProducers::stream(i), last[i])) return false;
        }
        return true;
      },
      kPatience);
  const StreamJudge::Verdict verdict = judge_.verdict();
  std::vector<std::string> problems = verdict.problems;
  const std::vector<std::string> missing = judge_.compare(producers_->notes());
  problems.insert(problems.end(), missing.begin(), missing.end());
  for (const std::string& problem : problems) say("  %s", problem.c_str());
  require(all && problems.empty(), "records were lost");
  // The queues have room for much more than is produced, so announcing a loss would be one, too.
  require(verdict.dropped == 0, std::to_string(verdict.dropped) + " records were dropped");
  say("  %d cuts: all of %llu records that were acknowledged arrived; %llu came again", count,
      static_cast<unsigned long long>(producers_->accepted()),
      static_cast<unsigned long long>(verdict.repeats));
}

std::string DeviceTest::last_words() {
  std::string words = "the console's last lines:\n" + tail(machine_->console(), 15);
  try {
    if (machine_->on()) {
      words += "the agent's and containerd's:\n" +
               machine_
                   ->run("wherry status; journalctl -b -u wherryd -u containerd -n 40 --no-pager",
                         Millis{60'000})
                   .output;
    }
  } catch (const std::exception& error) {
    words += error.what();
  }
  return words;
}

}  // namespace wherry::test
