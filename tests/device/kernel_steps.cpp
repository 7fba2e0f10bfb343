// Steps about what only a device with a kernel of its own can show: AppArmor in force, cgroups v2
// from their root on, and PSI.

#include "base/text.h"
#include "tests/device/device_test.h"
#include "tests/device/step.h"
#include "tests/support/wherry_daemon.h"

namespace wherry::test {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr const char* kOwnProfile = "device-guard";

struct Confined {
  const char* workload;
  json profile;         // appArmorProfile
  const char* current;  // what a process of it reads in /proc/self/attr/current
  const char* done;     // to a file that the device's profile keeps, and to one of the kernel's
};

std::vector<Confined> confined() {
  return {{"guarded",
           {{"type", "Localhost"}, {"localhostProfile", kOwnProfile}},
           "device-guard (enforce)",
           "denied written"},
          {"usual", {{"type", "RuntimeDefault"}}, "wherry-default (enforce)", "written denied"},
          {"free", {{"type", "Unconfined"}}, "unconfined", "written written"}};
}

json shell_pod(const char* name, const std::string& image, const std::string& script) {
  return simple_pod(name, image, {"/bin/sh", "-c", script}, false);
}

json& container_of(json& pod) { return pod["spec"]["containers"][0]; }

// It is ready when a program that a probe starts is confined as well.
json confined_pod(const Confined& how, const std::string& image) {
  json pod = shell_pod(how.workload, image,
                       "mkdir -p /kept; kept=denied; kernel=denied; "
                       "(: >/kept/file) 2>/dev/null && kept=written; "
                       "(: >/proc/uptime) 2>/dev/null && kernel=written; "
                       "echo $kept $kernel; cat /proc/self/attr/current; exec sleep 1000000");
  container_of(pod)["securityContext"] = {{"appArmorProfile", how.profile}};
  container_of(pod)["readinessProbe"] = {
      {"exec", {{"command", {"grep", "-qx", how.current, "/proc/self/attr/current"}}}},
      {"periodSeconds", 2}};
  return pod;
}

json sized_pod(const std::string& image, const char* cpu, const char* memory) {
  json pod = shell_pod("sized", image, "exec sleep 1000000");
  container_of(pod)["resources"] = {{"limits", {{"cpu", cpu}, {"memory", memory}}}};
  return pod;
}

// Of what containers() says, all but the lines of the Pod that goes.
std::string without_hog(const std::string& containers) {
  std::string others;
  for (const std::string& line : split(containers, '\n')) {
    if (!line.starts_with("hog-")) others += line + "\n";
  }
  return others;
}

}  // namespace

void DeviceTest::confinement() {
  machine_->check(std::string("set -e; grep -qx Y /sys/module/apparmor/parameters/enabled; "
                              "cd /etc/apparmor.d; cp /usr/share/wherry/wherry-default .; "
                              "echo 'profile ") +
                  kOwnProfile +
                  " flags=(attach_disconnected) { file, network, capability, signal, deny "
                  "/kept/* w, }' >device-guard; apparmor_parser -r wherry-default device-guard");
  json pods = json::array();
  for (const Confined& how : confined()) pods.push_back(confined_pod(how, first_image_));
  json astray = shell_pod("astray", first_image_, "exec sleep 1000000");
  astray["spec"]["securityContext"]["appArmorProfile"] = {{"type", "Localhost"},
                                                          {"localhostProfile", "never-loaded"}};
  pods.push_back(astray);
  publish(first_image_, pods);
  for (const Confined& how : confined()) {
    wait_told(how.workload, "is not ready",
              [&](const json&) { return runs(reported_, how.workload); });
    const std::string logs = std::string("wherry logs ") + how.workload;
    machine_->wait("[ $(" + logs + " | wc -l) = 2 ]", "it has said what it could do");
    const std::string said = machine_->check(logs);
    require(said == std::string(how.done) + "\n" + how.current,
            std::string(how.workload) + " says: " + said);
    say("  %s: %s, %s", how.workload, how.current, how.done);
  }
  const json refused = wait_told("astray", "is not refused", [](const json& told) {
    return told.value("message", "").find("no profile \"never-loaded\" is loaded") !=
           std::string::npos;
  });
  require(refused.value("reason", "") == "CreateContainerConfigError", refused.dump(1));
  say("  astray: %s", refused.value("message", "").c_str());
  publish(first_image_);
  wait_applied();
}

void DeviceTest::sizes() {
  const std::string look =
      "cd /sys/fs/cgroup/wherry/sized/*/ && echo $(cat cpu.max memory.max cgroup.procs)";
  json hungry = shell_pod("hungry", first_image_, "x=a; while :; do x=$x$x; done");
  hungry["spec"]["restartPolicy"] = "Never";
  container_of(hungry)["resources"] = {{"limits", {{"memory", "32Mi"}}}};
  publish(first_image_, json::array({sized_pod(first_image_, "500m", "64Mi"), hungry}));
  const json killed = wait_told("hungry", "was not killed", [](const json& told) {
    return told.value("phase", "") == "Failed";
  });
  require(entry_of(killed, "containers", "name", "hungry").value("reason", "") == "OOMKilled",
          killed.dump(1));
  say("  hungry: %s", killed.value("message", "").c_str());
  wait_told("sized", "does not run", [&](const json&) { return runs(reported_, "sized"); });
  const std::string before = machine_->check(look);
  const std::string small = "50000 100000 67108864 ", large = "25000 100000 100663296 ";
  require(before.starts_with(small), "cpu.max, memory.max and processes are " + before);
  publish(first_image_, json::array({sized_pod(first_image_, "250m", "96Mi")}));
  const std::string wanted = large + before.substr(small.size());
  machine_->wait("said=$(" + look + "); echo $said; [ \"$said\" = '" + wanted + "' ]",
                 "the process has its new sizes: " + wanted);
  wait_applied();
  const json sized = workload_in(reported_, "sized");
  require(entry_of(sized, "containers", "name", "sized").value("restarts", -1) == 0, sized.dump(1));
  say("  sized: %s became %s", before.c_str(), wanted.c_str());
  publish(first_image_);
  wait_applied();
}

void DeviceTest::pressure() {
  const std::string file = "/etc/wherry/wherry.d/20-telemetry.yaml";
  machine_->check("echo 'telemetry: { interval: 10s, gather: 0s }' >" + file +
                  " && systemctl restart wherryd");
  machine_->wait("wherry status", "wherryd answers");
  say("  %s",
      machine_->check("wherry metrics | grep '^wherry_node_pressure_stalled_seconds_total.*memory'")
          .c_str());
  // Takes memory until a tenth is left, which alone is no reason to stop anybody.
  json hog = shell_pod(
      "hog", first_image_,
      "n=0; while busybox awk '/MemTotal/ { all = $2 } /MemAvailable/ { exit ($2 < all / 10) }' "
      "/proc/meminfo; do head -c 4194304 /dev/zero >/memory/$n; n=$((n + 1)); done; echo full; "
      "waste() { while :; do head -c 1 /dev/zero >/dev/null; done; }; waste & waste");
  hog["spec"]["priority"] = -10;
  const json volume = {{"name", "memory"},
                       {"emptyDir", {{"medium", "Memory"}, {"sizeLimit", "2Gi"}}}};
  const json mount = {{"name", "memory"}, {"mountPath", "/memory"}};
  hog["spec"]["volumes"] = json::array({volume});
  container_of(hog)["volumeMounts"] = json::array({mount});
  publish(first_image_, json::array({hog}));
  wait_told("hog", "does not run", [&](const json&) { return runs(reported_, "hog"); });
  machine_->wait("wherry logs hog | grep -qx full", "hog has filled the memory");
  const std::string before = without_hog(containers());
  // Above memory.high the kernel lets nobody go on who takes more, however fast the disk is.
  const auto start = Clock::now();
  machine_->check(
      "cd /sys/fs/cgroup/wherry/hog/*/ && echo $(($(cat memory.current) / 2)) >memory.high");
  const json gone = wait_told("hog", "is not evicted", [](const json& told) {
    return told.value("reason", "") == "Evicted";
  });
  require(gone.value("message", "").find("of the time everything waited") != std::string::npos,
          gone.dump(1));
  say("  hog, after %.0f s: %s", seconds_since(start), gone.value("message", "").c_str());
  const bool told = wait_until(
      [this] {
        listen();
        return stalled_ >= 0.3;
      },
      kPatience);
  require(told, "telemetry says that memory was waited for " + std::to_string(stalled_) +
                    " of the time at most");
  say("  telemetry told of %.0f %% at most", 100 * stalled_);
  const std::string after = without_hog(containers());
  require(after == before, "the others were not left alone: " + before + after);
  publish(first_image_);
  wait_applied();
  machine_->check("rm " + file + " && systemctl restart wherryd");
  machine_->wait("wherry status", "wherryd answers");
  wait_running({"web", "pump"});
  check_no_leftovers();
}

}  // namespace wherry::test
