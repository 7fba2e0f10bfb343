// Deployment, DaemonSet, StatefulSet, Job and CronJob as documents: what they become, and what is
// wrong with them, by its path.

#include <gmock/gmock.h>

#include "tests/unit/manifest/manifest_test_support.h"

namespace wherry {
namespace {

using namespace manifest_test;

std::string object(const std::string& kind, const std::string& name, const std::string& spec) {
  const std::string version = kind.ends_with("Job") ? "batch/v1" : "apps/v1";
  return "  - { apiVersion: " + version + ", kind: " + kind + ", metadata: { name: " + name +
         " }, spec: { " + spec + " } }\n";
}

// `more` adds to the Pod's spec, `container` to its container.
std::string pods(const std::string& more = "", const std::string& container = "",
                 const std::string& restart = "") {
  return "template: { metadata: { labels: { app: web } }, spec: { " + restart +
         "containers: [{ name: c, image: \"i:1\"" + container + " }]" + more + " } }";
}
std::string job_pods(const std::string& more = "", const std::string& container = "") {
  return pods(more, container, "restartPolicy: Never, ");
}
const std::string kSelector = "selector: { matchLabels: { app: web } }, ";

Merged merged(const std::string& items) {
  const Document document = parse_desired_state(desired(items));
  EXPECT_TRUE(document.valid()) << print(document.errors) << items;
  return merge({{"devices/d", &document}}, {"host", "amd64", {}});
}

std::vector<std::string> names(const Merged& merged) {
  std::vector<std::string> all;
  for (const WorkloadSpec& workload : merged.workloads) all.push_back(workload.name());
  return all;
}

void expect_error(const std::string& items, const std::string& path, const std::string& part) {
  const Document document = parse_desired_state(desired(items));
  EXPECT_NE(find(document.errors, path, part), nullptr)
      << path << ": " << part << "\ngot " << print(document.errors) << items;
}

TEST(Lists, MayBeItemsAndHoldItems) {
  const Merged all = merged(
      "  - apiVersion: v1\n    kind: List\n    items:\n"
      "    - { apiVersion: v1, kind: Pod, metadata: { name: a },"
      " spec: { containers: [{ name: c, image: i }] } }\n"
      "    - { apiVersion: v1, kind: List, items: [{ apiVersion: v1, kind: Pod,"
      " metadata: { name: b }, spec: { containers: [{ name: c, image: i }] } }] }\n");
  EXPECT_THAT(names(all), testing::ElementsAre("a", "b"));
  expect_error("  - { apiVersion: v1, kind: List, items: [{ apiVersion: v1, kind: Pods }] }\n",
               "spec.items[0].items[0].kind", "did you mean Pod?");
}

TEST(Replicas, AreNamedAfterTheirOwner) {
  EXPECT_THAT(names(merged(object("Deployment", "web", kSelector + pods()))),
              testing::ElementsAre("web"));
  EXPECT_THAT(names(merged(object("DaemonSet", "web", kSelector + pods()))),
              testing::ElementsAre("web"));
  EXPECT_THAT(names(merged(object("Deployment", "web", "replicas: 3, " + kSelector + pods()))),
              testing::ElementsAre("web-0", "web-1", "web-2"));
  EXPECT_TRUE(
      names(merged(object("StatefulSet", "web", "replicas: 0, " + kSelector + pods()))).empty());
  const Merged two = merged(object("StatefulSet", "db", "replicas: 2, " + kSelector + pods()));
  EXPECT_THAT(names(two), testing::ElementsAre("db-0", "db-1"));
  EXPECT_EQ(two.workloads[1].pod.hostname, "db-1");
  EXPECT_EQ(two.workloads[1].owner, (Owner{OwnerKind::StatefulSet, "db"}));
  ASSERT_EQ(two.controllers.size(), 1U);
  EXPECT_THAT(two.controllers[0].pods, testing::ElementsAre("db-0", "db-1"));
  EXPECT_TRUE(two.controllers[0].rollout.ordered);
}

TEST(Replicas, OneIsTheSamePodAsWrittenByItself) {
  const Merged made = merged(object("Deployment", "web", kSelector + pods()));
  const WorkloadSpec plain =
      only_workload(pod("      containers: [{ name: c, image: \"i:1\" }]\n"));
  ASSERT_EQ(made.workloads.size(), 1U);
  EXPECT_EQ(made.workloads[0].pod.hash, plain.pod.hash)
      << "moving it into a Deployment restarts it";
}

TEST(Replicas, MaxUnavailableIsANumberOrAPercentage) {
  const auto rules = [](const std::string& value, int replicas) {
    const std::string strategy =
        value.empty() ? "" : "strategy: { rollingUpdate: { maxUnavailable: " + value + " } }, ";
    return merged(object("Deployment", "web",
                         "replicas: " + std::to_string(replicas) + ", " + strategy + kSelector +
                             pods()))
        .controllers.at(0)
        .rollout.max_unavailable;
  };
  EXPECT_EQ(rules("", 2), 1);
  EXPECT_EQ(rules("", 8), 2);
  EXPECT_EQ(rules("3", 8), 3);
  EXPECT_EQ(rules("50%", 9), 4);
  EXPECT_EQ(rules("0", 4), 1) << "in place: one at a time";
  expect_error(object("Deployment", "web",
                      "strategy: { rollingUpdate: { maxUnavailable: x } }, " + kSelector + pods()),
               "spec.items[0].spec.strategy.rollingUpdate.maxUnavailable", "percentage");
}

TEST(Replicas, SurgeIsWarnedAbout) {
  const Document document = parse_desired_state(desired(object(
      "Deployment", "web", "strategy: { rollingUpdate: { maxSurge: 1 } }, " + kSelector + pods())));
  expect_valid(document);
  EXPECT_NE(find(document.warnings, "spec.items[0].spec.strategy.rollingUpdate.maxSurge",
                 "replaced in place"),
            nullptr);
}

TEST(Replicas, ErrorsNameThePathInTheOwner) {
  const std::string at = "spec.items[0].spec.";
  expect_error(object("Deployment", "web", "selector: { matchLabels: { app: x } }, " + pods()),
               at + "selector.matchLabels.app", "does not match the labels of the template");
  expect_error(
      object("Deployment", "web",
             "selector: { matchExpressions: [{ key: app, operator: NotIn, values: [web] }] }, " +
                 pods()),
      at + "selector.matchExpressions[0]", "does not match");
  expect_error(object("Deployment", "web", "selector: {}, " + pods()), at + "selector", "is empty");
  expect_error(object("Deployment", "web", kSelector + pods("", "", "restartPolicy: Never, ")),
               at + "template.spec.restartPolicy", "must be Always");
  expect_error(object("Deployment", "web", kSelector + pods(", activeDeadlineSeconds: 5")),
               at + "template.spec.activeDeadlineSeconds", "belongs in a Job or a Pod");
  expect_error(object("Deployment", "web", kSelector + pods("", ", imgae: x")),
               at + "template.spec.containers[0].imgae", "unknown field");
  expect_error(object("Deployment", "web", "replicas: 251, " + kSelector + pods()), at + "replicas",
               "between 0 and 250");
  expect_error(object("Deployment", std::string(62, 'a'), "replicas: 2, " + kSelector + pods()),
               "spec.items[0].metadata.name", "too long by 1");
  expect_error(object("Deployment", "web",
                      "strategy: { type: Recreate, rollingUpdate: { maxUnavailable: 1 } }, " +
                          kSelector + pods()),
               at + "strategy.rollingUpdate", "type RollingUpdate only");
}

std::string claims(const std::string& name, const std::string& mode = "ReadWriteOnce") {
  return ", volumeClaimTemplates: [{ metadata: { name: " + name + " }, spec: { accessModes: [" +
         mode + "], resources: { requests: { storage: 1Gi } } } }]";
}
const std::string kMount = ", volumeMounts: [{ name: data, mountPath: /data }]";

std::vector<std::string> claims_of(const Merged& merged) {
  std::vector<std::string> all;
  for (const WorkloadSpec& workload : merged.workloads) {
    for (const runtime::Volume& volume : workload.pod.volumes) {
      if (volume.kind == runtime::Volume::Kind::Claim) all.push_back(volume.claim);
    }
  }
  return all;
}

TEST(ClaimTemplates, GiveEachPodAClaimThatScalingLeavesToIt) {
  const auto set = [&](int replicas, const std::string& more = "") {
    return object("StatefulSet", "db",
                  "replicas: " + std::to_string(replicas) + ", " + kSelector + pods(more, kMount) +
                      claims("data"));
  };
  const Merged three = merged(set(3));
  EXPECT_TRUE(three.errors.empty()) << print(three.errors);
  EXPECT_THAT(claims_of(three), testing::ElementsAre("data-db-0", "data-db-1", "data-db-2"));
  const Merged one = merged(set(1));
  EXPECT_EQ(names(one), std::vector<std::string>{"db"});
  EXPECT_THAT(claims_of(one), testing::ElementsAre("data-db-0"));
  EXPECT_NE(three.workloads[0].pod.hash, three.workloads[1].pod.hash);
  // A volume of the template that has the claim's name gives way, as in Kubernetes.
  const Merged both = merged(set(1,
                                 ", volumes: [{ name: x, emptyDir: {} },"
                                 " { name: data, configMap: { name: none } }]"));
  EXPECT_TRUE(both.errors.empty()) << print(both.errors);
  ASSERT_EQ(both.workloads.at(0).pod.volumes.size(), 2U);
  EXPECT_THAT(claims_of(both), testing::ElementsAre("data-db-0"));
}

TEST(ClaimTemplates, CanBeUsedByOthersUnlessTheyAreOfOnePod) {
  const std::string other =
      "  - { apiVersion: v1, kind: Pod, metadata: { name: backup }, spec: { containers: [{ name: c,"
      " image: i }], volumes: [{ name: v, persistentVolumeClaim: { claimName: data-db-0 } }] } }\n";
  const auto set = [&](const std::string& mode) {
    return object("StatefulSet", "db", kSelector + pods("", kMount) + claims("data", mode));
  };
  EXPECT_TRUE(merged(set("ReadWriteOnce") + other).errors.empty());
  const Merged taken = merged(set("ReadWriteOncePod") + other);
  EXPECT_NE(print(taken.errors).find("claim \"data-db-0\" is ReadWriteOncePod"), std::string::npos)
      << print(taken.errors);
}

TEST(ClaimTemplates, AreCheckedByPath) {
  const std::string at = "spec.items[0].spec.volumeClaimTemplates[0].";
  const auto set = [&](const std::string& rest) {
    return object("StatefulSet", "db", kSelector + pods() + rest);
  };
  expect_error(set(claims("Data")), at + "metadata.name", "must be a DNS label");
  expect_error(set(claims("data", "ReadWrite")), at + "spec.accessModes[0]", "ReadWriteOnce");
  expect_error(set(", volumeClaimTemplates: [{ metadata: { name: a }, spec: { accessModes: [],"
                   " resources: { limits: 1 } } }]"),
               at + "spec.accessModes", "needs at least one");
  expect_error(set(", volumeClaimTemplates: [{ metadata: { name: a } }]"), at + "spec",
               "is required");
  expect_error(set(", volumeClaimTemplates: [{ metadata: { name: a }, spec: { accessModes: "
                   "[ReadWriteOnce] } }, { metadata: { name: a }, spec: { accessModes: "
                   "[ReadWriteOnce] } }]"),
               "spec.items[0].spec.volumeClaimTemplates[1].metadata.name", "two claims are named");
  expect_error(object("StatefulSet", "db", kSelector + pods("", kMount) + claims("other")),
               "spec.items[0].spec.template.spec.containers[0].volumeMounts[0].name",
               "has no volume named \"data\"");
}

TEST(Replicas, WhatOnlyTheMergeKnowsIsSaidOnceAndByPath) {
  const Merged missing = merged(object(
      "Deployment", "web",
      "replicas: 3, " + kSelector + pods("", ", envFrom: [{ configMapRef: { name: gone } }]")));
  ASSERT_EQ(missing.errors.size(), 1U) << print(missing.errors);
  EXPECT_EQ(missing.errors[0].path,
            "devices/d:spec.items[0].spec.template.spec.containers[0].envFrom[0].configMapRef");
  EXPECT_TRUE(missing.workloads.empty());

  const Merged port = merged(object(
      "Deployment", "web",
      "replicas: 2, " + kSelector + pods("", ", ports: [{ containerPort: 80, hostPort: 80 }]")));
  ASSERT_EQ(port.errors.size(), 1U) << print(port.errors);
  EXPECT_THAT(port.errors[0].message, testing::HasSubstr("taken by workload \"web-0\""));
}

TEST(Replicas, NamesDoNotCollide) {
  const std::string plain =
      "  - { apiVersion: v1, kind: Pod, metadata: { name: web-1 }, spec: { containers: [{ name: c,"
      " image: i }] } }\n";
  const Merged pod =
      merged(plain + object("Deployment", "web", "replicas: 2, " + kSelector + pods()));
  ASSERT_EQ(pod.errors.size(), 1U) << print(pod.errors);
  EXPECT_EQ(pod.errors[0].path, "devices/d:spec.items[1].metadata.name");
  EXPECT_THAT(pod.errors[0].message, testing::HasSubstr("its Pod \"web-1\" has the name of a Pod"));
  const Merged job = merged(plain + object("Job", "web", "completions: 2, " + job_pods()));
  ASSERT_EQ(job.errors.size(), 1U) << print(job.errors);
  EXPECT_TRUE(merged(plain + object("Job", "web", "completions: 1, " + job_pods())).errors.empty());
  EXPECT_FALSE(
      merged(object("Deployment", "x", kSelector + pods()) + object("Job", "x", job_pods()))
          .errors.empty());
}

TEST(Replicas, AnOwnerCanBeDependedOn) {
  const Merged all = merged(object("Deployment", "db", "replicas: 2, " + kSelector + pods()) +
                            "  - { apiVersion: v1, kind: Pod, metadata: { name: app, annotations: "
                            "{ wherry/depends-on: db }"
                            " }, spec: { containers: [{ name: c, image: i }] } }\n");
  EXPECT_TRUE(all.errors.empty()) << print(all.errors);
  ASSERT_EQ(all.workloads.size(), 3U);
  EXPECT_THAT(all.workloads[0].depends_on, testing::ElementsAre("db-0", "db-1"));
}

TEST(Replicas, ManyAreBounded) {
  std::string items;
  for (int i = 0; i < 5; ++i) {
    items += object("Deployment", "d" + std::to_string(i), "replicas: 250, " + kSelector + pods());
  }
  const Merged all = merged(items);
  ASSERT_FALSE(all.errors.empty());
  EXPECT_THAT(all.errors[0].message, testing::HasSubstr("more than 1000 Pods"));
}

TEST(Jobs, KeepTheirRulesAndATemplate) {
  const Merged all = merged(object(
      "Job", "work",
      "completions: 3, parallelism: 2, backoffLimit: 4, activeDeadlineSeconds: 60, "
      "ttlSecondsAfterFinished: 5, completionMode: Indexed, " +
          job_pods(
              ", volumes: [{ name: v, downwardAPI: { items: [{ path: me, fieldRef: { fieldPath: "
              "metadata.name } }, { path: number, fieldRef: { fieldPath: "
              "\"metadata.annotations['batch.kubernetes.io/job-completion-index']\" } }] } }]",
              ", env: [{ name: ME, valueFrom: { fieldRef: { fieldPath: metadata.name } } }],"
              " volumeMounts: [{ name: v, mountPath: /v, subPathExpr: "
              "$(ME)/$(JOB_COMPLETION_INDEX) }]")));
  ASSERT_TRUE(all.errors.empty()) << print(all.errors);
  ASSERT_EQ(all.controllers.size(), 1U);
  EXPECT_TRUE(all.workloads.empty());
  const JobRules& rules = all.controllers[0].job;
  EXPECT_EQ(rules.completions, 3);
  EXPECT_EQ(rules.parallelism, 2);
  EXPECT_EQ(rules.backoff_limit, 4);
  EXPECT_EQ(rules.active_deadline, Duration(std::chrono::seconds(60)));
  EXPECT_EQ(rules.ttl, Duration(std::chrono::seconds(5)));
  const WorkloadSpec made =
      instantiate(all.controllers[0].pod_template, {"work-2", "work", 2}, "hash");
  EXPECT_EQ(made.name(), "work-2");
  EXPECT_EQ(made.pod.hostname, "work-2");
  EXPECT_EQ(made.pod.hash, "hash");
  const std::vector<std::pair<std::string, std::string>> env = {{"JOB_COMPLETION_INDEX", "2"},
                                                                {"ME", "work-2"}};
  EXPECT_EQ(made.pod.containers.at(0).env, env);
  EXPECT_EQ(made.pod.containers.at(0).mounts.at(0).sub_path, "work-2/2");
  const std::vector<runtime::VolumeFile> files = {{"me", "work-2"}, {"number", "2"}};
  EXPECT_EQ(made.pod.volumes.at(0).files, files);
}

// Each Pod of a Job has an environment of its own: what all take together is bounded.
TEST(Jobs, EnvironmentsOfParallelPodsAreBounded) {
  const std::string large =
      "  - { apiVersion: v1, kind: ConfigMap, metadata: { name: m }, data: { k: \"" +
      std::string(100'000, 'x') + "\" } }\n";
  const auto with = [&](int parallel) {
    return merged(large +
                  object("Job", "j",
                         "completions: 250, parallelism: " + std::to_string(parallel) + ", " +
                             job_pods("", ", envFrom: [{ configMapRef: { name: m } }]")));
  };
  EXPECT_TRUE(with(100).errors.empty());
  const Merged many = with(250);
  ASSERT_EQ(many.errors.size(), 1U) << print(many.errors);
  EXPECT_THAT(many.errors[0].message, testing::HasSubstr("16 MiB"));
  EXPECT_TRUE(many.controllers.empty());
}

TEST(Jobs, ErrorsNameThePath) {
  const std::string at = "spec.items[0].spec.";
  expect_error(object("Job", "j", pods()), at + "template.spec.restartPolicy",
               "must be OnFailure or Never");
  expect_error(object("Job", "j", "completions: 0, " + job_pods()), at + "completions",
               "between 1");
  expect_error(object("Job", "j", "backoffLimit: -1, " + job_pods()), at + "backoffLimit",
               "between 0");
  expect_error(object("Job", "j", "parallelism: 2, completionMode: Indexed, " + job_pods()),
               at + "completions", "is required with completionMode Indexed");
  expect_error(object("Job", "j",
                      "completions: 2, parallelism: 2, " +
                          job_pods("", ", ports: [{ containerPort: 1, hostPort: 1 }]")),
               at + "parallelism", "cannot have one hostPort");
  expect_error(object("CronJob", "c",
                      "schedule: \"* * * *\", jobTemplate: { spec: { " + job_pods() + " } }"),
               at + "schedule", "needs five fields");
  expect_error(object("CronJob", "c",
                      "schedule: \"@daily\", timeZone: Mars/Base, jobTemplate: { spec: { " +
                          job_pods() + " } }"),
               at + "timeZone", "is no time zone");
  expect_error(
      object("CronJob", "c", "schedule: \"@daily\", jobTemplate: { spec: { " + pods() + " } }"),
      at + "jobTemplate.spec.template.spec.restartPolicy", "must be OnFailure or Never");
  const Merged depends = merged(object("Job", "j", job_pods()) +
                                "  - { apiVersion: v1, kind: Pod, metadata: { name: app, "
                                "annotations: { wherry/depends-on: j }"
                                " }, spec: { containers: [{ name: c, image: i }] } }\n");
  ASSERT_EQ(depends.errors.size(), 1U);
  EXPECT_THAT(depends.errors[0].message, testing::HasSubstr("a Job, whose Pods come and go"));
}

}  // namespace
}  // namespace wherry
