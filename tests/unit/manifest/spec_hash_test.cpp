// What decides a restart.

#include <functional>

#include <gtest/gtest.h>

#include "tests/unit/manifest/manifest_test_support.h"

namespace wherry {
namespace {

using namespace manifest_test;

constexpr const char* kExample = R"yaml(
apiVersion: wherry/v1
kind: DesiredState
metadata: { revision: 42 }
spec:
  items:
  - apiVersion: v1
    kind: Pod
    metadata:
      name: web
    spec:
      restartPolicy: OnFailure
      containers:
      - name: web
        image: registry.local/web:1.2
        args: ["-p", "80"]
        env: [{ name: A, value: b }, { name: C, value: d }]
        ports: [{ containerPort: 80, hostPort: 8080 }]
        resources: { limits: { cpu: 500m, memory: 64Mi } }
        securityContext: { runAsUser: 0, capabilities: { add: [NET_ADMIN, CHOWN] } }
        volumeMounts: [{ name: data, mountPath: /data }, { name: tmp, mountPath: /tmp }]
      volumes: [{ name: data, hostPath: { path: /srv } }, { name: tmp, emptyDir: {} }]
)yaml";

// A change of this value replaces every running workload when the agent is upgraded. It may only
// change when the meaning of the example does.
TEST(SpecHash, OfTheExampleStaysTheSame) {
  EXPECT_EQ(only_workload(kExample).pod.hash, "266c79811f4875b5");
}

TEST(SpecHash, IgnoresOrderCommentsRevisionAndForm) {
  const std::string same = R"yaml(
# another revision, other orders, quotes and styles
{"spec": {"items": [{"spec": {
  "volumes": [{"emptyDir": {}, "name": "tmp"}, {"hostPath": {"path": "/srv"}, "name": "data"}],
  "activeDeadlineSeconds": 600, "nodeSelector": {}, "tolerations": [{"operator": "Exists"}], "terminationGracePeriodSeconds": 3,
  "containers": [{
    "volumeMounts": [{"mountPath": "/tmp/", "name": "tmp"}, {"mountPath": "/data", "name": "data"}],
    "imagePullPolicy": "Always",
    "securityContext": {"capabilities": {"add": ["CHOWN", "NET_ADMIN", "CHOWN"]}, "runAsUser": 0},
    "resources": {"requests": {"memory": "65536Ki"}, "limits": {"memory": "64Mi", "cpu": 0.5}},
    "ports": [{"hostPort": 8080, "containerPort": 80, "protocol": "TCP", "name": "http"}],
    "env": [{"name": "C", "value": "d"}, {"value": "b", "name": "A"}],
    "args": ["-p", "80"], "image": "registry.local/web:1.2", "name": "web"}],
  "restartPolicy": "OnFailure"},
  "metadata": {"labels": {"x": "z"}, "name": "web", "annotations": {"wherry/depends-on": "",
    "wherry/update-strategy": "delete-first"}},
  "kind": "Pod", "apiVersion": "v1"}]},
 "metadata": {"revision": 43}, "kind": "DesiredState", "apiVersion": "wherry/v1"}
)yaml";
  EXPECT_EQ(only_workload(kExample).pod.hash, only_workload(same).pod.hash);
}

TEST(SpecHash, ChangesWithEverythingThatRuns) {
  const WorkloadSpec base = only_workload(kExample);
  using Change = std::function<void(WorkloadSpec&)>;
  const auto container = [](WorkloadSpec& w) -> runtime::ContainerSpec& {
    return w.pod.containers.at(0);
  };
  const std::vector<Change> changes = {
      [](auto& w) { w.restart_policy = RestartPolicy::Never; },
      [](auto& w) { w.pod.hostname = "x"; },
      [](auto& w) { w.pod.host_network = true; },
      [](auto& w) {
        w.pod.host_aliases = {{"10.0.0.1", {"a"}}};
      },
      [](auto& w) {
        w.pod.host_aliases = {{"10.0.0.1", {"b"}}};
      },
      [](auto& w) { w.pod.dns.of_device = false; },
      [](auto& w) { w.pod.dns.nameservers = {"a"}; },
      [](auto& w) { w.pod.dns.searches = {"a"}; },
      [](auto& w) { w.pod.dns.options = {"a"}; },
      [](auto& w) { w.pod.ports[0].host_port = 1; },
      [](auto& w) { w.pod.ports[0].container_port = 1; },
      [](auto& w) { w.pod.ports[0].protocol = runtime::Protocol::Udp; },
      [](auto& w) { w.pod.ports[0].host_ip = "127.0.0.1"; },
      [](auto& w) { w.pod.ports.clear(); },
      [](auto& w) { w.pod.volumes[0].host_path = "/x"; },
      [](auto& w) { w.pod.volumes[0].host_path_type = runtime::HostPathType::File; },
      [](auto& w) { w.pod.volumes[1].memory = true; },
      [](auto& w) { w.pod.volumes[1].size_limit = 1; },
      [](auto& w) { w.pod.volumes.pop_back(); },
      [](auto& w) { w.pod.containers.push_back(w.pod.containers[0]); },
      [&](auto& w) { container(w).name = "x"; },
      [&](auto& w) { container(w).image = "x"; },
      [&](auto& w) { container(w).command = {"x"}; },
      [&](auto& w) { container(w).args = {"-p80"}; },
      [&](auto& w) {
        container(w).args = {"80", "-p"};
      },
      [&](auto& w) { std::swap(container(w).args, container(w).command); },
      [&](auto& w) { container(w).working_dir = "/x"; },
      [&](auto& w) { container(w).env[0].second = "x"; },
      [&](auto& w) { container(w).env.pop_back(); },
      [&](auto& w) { container(w).resources.cpu_request_milli = 1; },  // another class
      [&](auto& w) { container(w).resources = {}; },
      [&](auto& w) { container(w).resources.memory_restarts = true; },
      [&](auto& w) { container(w).resources.pids_limit = 1; },
      [&](auto& w) { container(w).security.run_as_user.reset(); },
      [&](auto& w) { container(w).security.run_as_user = 1; },
      [&](auto& w) { container(w).security.run_as_group = 0; },
      [&](auto& w) { container(w).security.run_as_non_root = true; },
      [&](auto& w) { container(w).security.supplemental_groups = {1}; },
      [&](auto& w) { container(w).security.privileged = true; },
      [&](auto& w) { container(w).security.read_only_root_filesystem = true; },
      [&](auto& w) { container(w).security.allow_privilege_escalation = true; },
      [&](auto& w) { container(w).security.capabilities_add.pop_back(); },
      [&](auto& w) { container(w).security.capabilities_drop = {"ALL"}; },
      [&](auto& w) { container(w).mounts[0].mount_path = "/x"; },
      [&](auto& w) { container(w).mounts[0].volume = "x"; },
      [&](auto& w) { container(w).mounts[0].read_only = true; },
      [&](auto& w) { container(w).mounts[0].sub_path = "x"; },
      [&](auto& w) {
        container(w).mounts[0].propagation = runtime::MountPropagation::HostToContainer;
      },
      [&](auto& w) {
        container(w).security.seccomp.kind = runtime::SecurityProfile::Kind::RuntimeDefault;
      },
      [&](auto& w) {
        container(w).security.seccomp = {runtime::SecurityProfile::Kind::Localhost, "x"};
      },
      [&](auto& w) {
        container(w).security.apparmor.kind = runtime::SecurityProfile::Kind::RuntimeDefault;
      },
      [](auto& w) { w.pod.volumes[0].definition = "x"; },
      [](auto& w) { w.pod.volumes[0].claim = "x"; },
      [](auto& w) { w.pod.volumes[0].image = "x"; },
      [](auto& w) { w.pod.volumes[0].read_only = true; },
      [](auto& w) { w.pod.fs_group = 0; },
      [](auto& w) {
        w.pod.sysctls = {{"a", "b"}};
      },
      [](auto& w) { w.pod.runtime_class = "x"; },
  };
  std::map<std::string, size_t> seen{{base.pod.hash, 0}};
  for (size_t i = 0; i < changes.size(); ++i) {
    WorkloadSpec changed = base;
    changes[i](changed);
    const auto [known, added] = seen.emplace(spec_hash(changed), i + 1);
    EXPECT_TRUE(added) << "change " << i + 1 << " has the hash of change " << known->second;
  }
}

TEST(SpecHash, DoesNotChangeWithWhatTheRestartNeedNotKnow) {
  const WorkloadSpec base = only_workload(kExample);
  WorkloadSpec same = base;
  same.source = "x";
  same.revision = 99;
  same.depends_on = {"x"};
  same.update_strategy = UpdateStrategy::DeleteFirst;
  same.termination_grace = std::chrono::seconds(1);
  same.pod.labels = {{"a", "b"}};
  same.pod.hash = "x";
  same.pod.containers[0].pull_policy = runtime::PullPolicy::Never;
  same.priority = 7;
  same.preempts = false;
  EXPECT_EQ(spec_hash(same), base.pod.hash);
}

TEST(SpecHash, SizesCountOnlyWhereTheyAreNotChangedInPlace) {
  const WorkloadSpec base = only_workload(kExample);
  WorkloadSpec other = base;
  runtime::Resources& has = other.pod.containers[0].resources;
  has.memory_limit = has.memory_request = 128 << 20;
  has.cpu_limit_milli = has.cpu_request_milli = 100;
  EXPECT_EQ(spec_hash(other), base.pod.hash);
  has.memory_restarts = true;
  const std::string larger = spec_hash(other);
  has.memory_limit = has.memory_request = 256 << 20;
  EXPECT_NE(spec_hash(other), larger);
  has.memory_restarts = false;
  has.memory_request = 1;
  EXPECT_NE(spec_hash(other), base.pod.hash) << "another class of service";
}

// Lengths keep what is written apart: no value can pretend to be a field.
TEST(SpecHash, ValuesCannotImitateStructure) {
  WorkloadSpec one = only_workload(kExample);
  WorkloadSpec other = one;
  one.pod.containers[0].args = {"a;arg=1:b"};
  other.pod.containers[0].args = {"a", "b"};
  EXPECT_NE(spec_hash(one), spec_hash(other));
}

}  // namespace
}  // namespace wherry
