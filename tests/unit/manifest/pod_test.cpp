// What becomes of a Pod's fields.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/manifest/manifest_test_support.h"

namespace wherry {
namespace {

using namespace manifest_test;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

TEST(Pod, EverythingHonouredArrives) {
  const WorkloadSpec workload = only_workload(R"yaml(
apiVersion: wherry/v1
kind: DesiredState
metadata: { revision: 42, target: devices/d, expires: 2027-01-01T00:00:00Z }
spec:
  update: { mode: independent }
  items:
  - apiVersion: v1
    kind: Pod
    metadata:
      name: web
      labels: { app: web }
      annotations: { wherry/depends-on: "", wherry/update-strategy: delete-first }
    spec:
      restartPolicy: OnFailure
      terminationGracePeriodSeconds: 5
      hostname: front
      dnsPolicy: None
      dnsConfig:
        nameservers: [9.9.9.9, "fd00:0::1"]
        searches: [plant.local, _tcp.lan.]
        options: [{ name: ndots, value: "2" }, { name: rotate }]
      hostAliases: [{ ip: 10.1.1.1, hostnames: [plc, plc.plant.local] }]
      securityContext: { runAsUser: 1000, runAsGroup: 1001, runAsNonRoot: true, supplementalGroups: [7] }
      containers:
      - name: web
        image: registry.local/web:1.2
        command: [/bin/httpd, "-f"]
        args: ["-p", "$(PORT)", "$$(PORT)", "$(UNKNOWN)"]
        workingDir: /srv
        env:
        - { name: PORT, value: "80" }
        - { name: URL, value: "http://h:$(PORT)" }
        ports: [{ containerPort: 80, hostPort: 8080, hostIP: 127.0.0.1, name: http }]
        resources: { limits: { cpu: 500m, memory: 64Mi }, requests: { cpu: 0.1 } }
        securityContext:
          runAsUser: 2000
          readOnlyRootFilesystem: true
          capabilities: { add: [NET_ADMIN], drop: [ALL] }
        volumeMounts:
        - { name: data, mountPath: /data/, readOnly: true }
        - { name: scratch, mountPath: /tmp }
      volumes:
      - { name: data, hostPath: { path: /srv/data, type: DirectoryOrCreate } }
      - { name: scratch, emptyDir: { medium: Memory, sizeLimit: 1Mi } }
)yaml");
  EXPECT_EQ(workload.source, "devices/d");
  EXPECT_EQ(workload.revision, 42U);
  EXPECT_EQ(workload.restart_policy, RestartPolicy::OnFailure);
  EXPECT_EQ(workload.update_strategy, UpdateStrategy::DeleteFirst);
  EXPECT_EQ(workload.termination_grace, std::chrono::seconds(5));
  EXPECT_THAT(workload.depends_on, IsEmpty());

  const runtime::PodSpec& pod = workload.pod;
  EXPECT_EQ(pod.name, "web");
  EXPECT_EQ(pod.hostname, "front");
  EXPECT_FALSE(pod.host_network);
  EXPECT_EQ(
      pod.dns,
      (runtime::PodDns{
          false, {"9.9.9.9", "fd00::1"}, {"plant.local", "_tcp.lan."}, {"ndots:2", "rotate"}}));
  EXPECT_THAT(pod.host_aliases,
              ElementsAre(runtime::HostAlias{"10.1.1.1", {"plc", "plc.plant.local"}}));
  EXPECT_EQ(pod.hash.size(), 16U);
  EXPECT_THAT(pod.ports,
              ElementsAre(runtime::PortMapping{8080, 80, runtime::Protocol::Tcp, "127.0.0.1"}));
  using runtime::HostPathType;
  using Kind = runtime::Volume::Kind;
  EXPECT_THAT(pod.volumes, ElementsAre(runtime::Volume{"data", Kind::HostPath, "/srv/data",
                                                       HostPathType::DirectoryOrCreate, false, 0},
                                       runtime::Volume{"scratch", Kind::EmptyDir, "",
                                                       HostPathType::Unset, true, 1 << 20}));

  ASSERT_EQ(pod.containers.size(), 1U);
  const runtime::ContainerSpec& web = pod.containers[0];
  EXPECT_EQ(web.image, "registry.local/web:1.2");
  EXPECT_EQ(web.pull_policy, runtime::PullPolicy::IfNotPresent);
  EXPECT_THAT(web.command, ElementsAre("/bin/httpd", "-f"));
  EXPECT_THAT(web.args, ElementsAre("-p", "80", "$(PORT)", "$(UNKNOWN)"));
  EXPECT_EQ(web.working_dir, "/srv");
  EXPECT_THAT(web.env, ElementsAre(Pair("PORT", "80"), Pair("URL", "http://h:80")));
  EXPECT_EQ(web.resources.cpu_limit_milli, 500);
  EXPECT_EQ(web.resources.cpu_request_milli, 100);
  EXPECT_EQ(web.resources.memory_limit, 64 << 20);
  EXPECT_EQ(web.resources.memory_request, 64 << 20);
  EXPECT_EQ(web.security.run_as_user, 2000);
  EXPECT_EQ(web.security.run_as_group, 1001);
  EXPECT_TRUE(web.security.run_as_non_root);
  EXPECT_THAT(web.security.supplemental_groups, ElementsAre(7));
  EXPECT_TRUE(web.security.read_only_root_filesystem);
  EXPECT_FALSE(web.security.privileged);
  EXPECT_FALSE(web.security.allow_privilege_escalation);
  EXPECT_THAT(web.security.capabilities_add, ElementsAre("NET_ADMIN"));
  EXPECT_THAT(web.security.capabilities_drop, ElementsAre("ALL"));
  EXPECT_THAT(web.mounts, ElementsAre(runtime::VolumeMount{"data", "/data", true},
                                      runtime::VolumeMount{"scratch", "/tmp", false}));
}

}  // namespace
}  // namespace wherry
