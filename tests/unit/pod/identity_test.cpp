#include "runtime/pod/identity.h"

#include <regex>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace wherry::runtime {
namespace {

PodSpec pod_named(const std::string& name) {
  PodSpec pod;
  pod.name = name;
  pod.hash = "h1";
  return pod;
}
ContainerSpec container_named(const std::string& name) {
  ContainerSpec container;
  container.name = name;
  return container;
}

// containerd's rule for identifiers, and its limit.
bool is_identifier(const std::string& id) {
  static const std::regex rule("[A-Za-z0-9]+([-._][A-Za-z0-9]+)*");
  return id.size() <= 76 && std::regex_match(id, rule);
}

TEST(ContainerId, ObeysTheDaemonsRulesForEveryPodName) {
  const Identity identity{"", "boot"};
  const std::vector<std::string> names{
      "web", "a--b", std::string(63, 'a'), "x-", "0", "a.b.c", "aaaaaaaaaaaaaaaaaaaaaaa-bbbbbb"};
  for (const std::string& name : names) {
    const std::string id =
        identity.container_id(pod_named(name), container_named(name), 4294967295U, "sha256:d");
    EXPECT_TRUE(is_identifier(id)) << id;
  }
}

TEST(ContainerId, SaysWhoseItIs) {
  const std::string id =
      Identity{"", "boot"}.container_id(pod_named("web"), container_named("app"), 7, "sha256:d");
  EXPECT_THAT(id, testing::StartsWith("web-app-7-"));
}

TEST(ContainerId, IsTheSameForTheSameAndAnotherForAnythingElse) {
  const Identity identity{"", "boot"};
  const PodSpec pod = pod_named("web");
  const ContainerSpec container = container_named("app");
  const std::string id = identity.container_id(pod, container, 0, "sha256:d");
  EXPECT_EQ(id, identity.container_id(pod, container, 0, "sha256:d"));
  PodSpec changed = pod;
  changed.hash = "h2";
  const std::set<std::string> ids{
      id,
      identity.container_id(changed, container, 0, "sha256:d"),
      identity.container_id(pod, container, 1, "sha256:d"),
      identity.container_id(pod, container, 0, "sha256:e"),
      identity.container_id(pod_named("web-app"), container_named("x"), 0, "sha256:d"),
      identity.container_id(pod_named("web"), container_named("app-x"), 0, "sha256:d"),
      identity.container_id(pod_named(std::string(30, 'a') + "1"), container, 0, "sha256:d"),
      identity.container_id(pod_named(std::string(30, 'a') + "2"), container, 0, "sha256:d"),
      Identity{"other", "boot"}.container_id(pod, container, 0, "sha256:d")};
  EXPECT_EQ(ids.size(), 9U);
}

TEST(Labels, SurviveTheDaemonThatDropsEmptyValues) {
  PodSpec pod = pod_named("web");
  pod.host_network = true;
  pod.labels = {{"source", "groups/a"}, {"empty", ""}, {"equals", "=x="}};
  ContainerRecord record;
  record.id = "web-app-3";
  record.labels = Identity{"one", "boot-1"}.labels(pod, container_named("app"), 3,
                                                   {"registry.local/a:1", "sha256:d", 10});
  std::erase_if(record.labels, [](const auto& label) { return label.second.empty(); });
  const ContainerIdentity read = read_labels(record);
  EXPECT_EQ(read.status.id, "web-app-3");
  EXPECT_EQ(read.status.pod, "web");
  EXPECT_EQ(read.status.name, "app");
  EXPECT_EQ(read.status.attempt, 3U);
  EXPECT_EQ(read.status.image, "registry.local/a:1");
  EXPECT_EQ(read.status.image_digest, "sha256:d");
  EXPECT_EQ(read.hash, "h1");
  EXPECT_EQ(read.boot_id, "boot-1");
  EXPECT_TRUE(read.host_network);
  EXPECT_EQ(read.pod_labels, pod.labels);
}

TEST(Labels, OfAStrangerAreReadAsNothing) {
  ContainerRecord record;
  record.id = "someone";
  record.labels = {{"wherry/attempt", "many"}, {"io.kubernetes.pod.name", "x"}};
  const ContainerIdentity read = read_labels(record);
  EXPECT_EQ(read.status.pod, "");
  EXPECT_EQ(read.status.attempt, 0U);
  EXPECT_TRUE(read.pod_labels.empty());
}

TEST(CgroupPath, TellsAgentsApart) {
  EXPECT_EQ((Identity{"", ""}).cgroup("web", "id"), "/wherry/web/id");
  EXPECT_EQ((Identity{"two", ""}).cgroup("web", "id"), "/wherry-two/web/id");
}

TEST(BootId, IsTheKernels) { EXPECT_EQ(kernel_boot_id().size(), 36U); }

}  // namespace
}  // namespace wherry::runtime
