// The plugin protocol, with scripts as plugins that note what they were told.

#include "runtime/network/cni_plugins.h"

#include <cstdlib>
#include <fstream>
#include <sys/stat.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/text.h"

namespace wherry::runtime {
namespace {

using Json = nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

class CniPluginsTest : public testing::Test {
 protected:
  CniPluginsTest() {
    char name[] = "/tmp/wherry-cni-XXXXXX";
    dir = mkdtemp(name);
    attachment.bin_dir = dir;
    attachment.container_id = "web-1";
    attachment.netns = "/run/netns/web";
    attachment.list =
        R"({"cniVersion":"1.0.0","name":"net","plugins":[{"type":"one","x":1},
            {"type":"two","capabilities":{"portMappings":true}}]})";
  }
  ~CniPluginsTest() override { static_cast<void>(remove_tree(dir)); }

  // A plugin that notes command and input, then runs `script`.
  void plugin(const std::string& type, const std::string& script) const {
    const std::string path = dir + "/" + type;
    {
      std::ofstream file(path);
      file << "#!/bin/sh\n"
           << "echo \"$CNI_COMMAND $CNI_CONTAINERID $CNI_NETNS $CNI_IFNAME $CNI_PATH\" >>" << dir
           << "/calls-" << type << "\n"
           << "cat >" << dir << "/input-" << type << "-$CNI_COMMAND\n"
           << "echo " << type << "-$CNI_COMMAND >>" << dir << "/order\n"
           << script << "\n";
    }
    chmod(path.c_str(), 0755);
  }
  Json input(const std::string& name) const {
    return Json::parse(read_file(dir + "/input-" + name).value_or("null"));
  }
  std::vector<std::string> order() const {
    return split(trim(read_file(dir + "/order").value_or("")), '\n');
  }

  std::string dir;
  CniAttachment attachment;
};

TEST_F(CniPluginsTest, ChainsResultsOnAdd) {
  plugin("one", R"(echo '{"cniVersion":"1.0.0","ips":[{"address":"10.0.0.5/24"}]}')");
  plugin("two", R"(echo '{"cniVersion":"1.0.0","ips":[{"address":"10.0.0.5/24"}],"two":2}')");
  PortMapping port;
  port.host_port = 8080;
  port.container_port = 80;
  port.protocol = Protocol::Udp;
  port.host_ip = "127.0.0.1";
  attachment.ports = {port};
  const auto result = cni_add(attachment, {});
  ASSERT_TRUE(result) << result.error().full();
  EXPECT_EQ(Json::parse(*result)["two"], 2);
  EXPECT_EQ(first_address(*result), "10.0.0.5");
  EXPECT_THAT(order(), ElementsAre("one-ADD", "two-ADD"));
  EXPECT_EQ(*read_file(dir + "/calls-one"), "ADD web-1 /run/netns/web eth0 " + dir + "\n");
  EXPECT_EQ(input("one-ADD"),
            Json::parse(R"({"cniVersion":"1.0.0","name":"net","type":"one","x":1})"));
  const Json two = input("two-ADD");
  EXPECT_EQ(two["prevResult"]["ips"][0]["address"], "10.0.0.5/24");
  EXPECT_EQ(two["runtimeConfig"]["portMappings"],
            Json::parse(R"([{"hostPort":8080,"containerPort":80,"protocol":"udp",
                             "hostIP":"127.0.0.1"}])"));
  EXPECT_FALSE(two.contains("capabilities"));
}

TEST_F(CniPluginsTest, DetachesInReverseWithTheResult) {
  plugin("one", "");
  plugin("two", "");
  ASSERT_TRUE(cni_del(attachment, R"({"cniVersion":"1.0.0","ips":[]})"));
  EXPECT_THAT(order(), ElementsAre("two-DEL", "one-DEL"));
  EXPECT_TRUE(input("one-DEL").contains("prevResult"));
  EXPECT_TRUE(input("two-DEL").contains("prevResult"));
  ASSERT_TRUE(cni_del(attachment, ""));
  EXPECT_FALSE(input("one-DEL").contains("prevResult"));
  attachment.list = R"({"cniVersion":"0.3.1","name":"net","plugins":[{"type":"one"}]})";
  ASSERT_TRUE(cni_del(attachment, R"({"ips":[]})"));
  EXPECT_FALSE(input("one-DEL").contains("prevResult"));
}

TEST_F(CniPluginsTest, DetachesTheRestWhereOneFails) {
  plugin("one", "");
  plugin("two", "echo broken >&2; exit 1");
  const Status done = cni_del(attachment, "");
  ASSERT_FALSE(done);
  EXPECT_THAT(done.error().full(), HasSubstr("CNI plugin two: broken"));
  EXPECT_THAT(order(), ElementsAre("two-DEL", "one-DEL"));
}

TEST_F(CniPluginsTest, RepeatsWhatThePluginSays) {
  plugin("one", R"(echo '{"code":7,"msg":"no range","details":"see ipam"}'; exit 1)");
  auto result = cni_add(attachment, {});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message(), "CNI plugin one: no range (see ipam)");
  plugin("one", R"(echo '{"code":11,"msg":"busy"}'; exit 1)");
  EXPECT_EQ(cni_add(attachment, {}).error().code(), Code::Unavailable);
  plugin("one", "exit 9");
  EXPECT_EQ(cni_add(attachment, {}).error().message(), "CNI plugin one: exit code 9");
  plugin("one", "echo hello");
  EXPECT_THAT(cni_add(attachment, {}).error().message(), HasSubstr("gave no result"));
}

TEST_F(CniPluginsTest, SaysWhichPluginIsMissing) {
  const auto result = cni_add(attachment, {});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code(), Code::FailedPrecondition);
  EXPECT_THAT(result.error().message(), HasSubstr("CNI plugin one is not in " + dir));
}

TEST_F(CniPluginsTest, DoesNotStartPortmapForNothing) {
  attachment.list =
      R"({"cniVersion":"1.0.0","name":"n","plugins":[{"type":"one"},{"type":"portmap"}]})";
  plugin("one", "echo {}");
  ASSERT_TRUE(cni_add(attachment, {}));
  ASSERT_TRUE(cni_del(attachment, "{}"));
  EXPECT_THAT(order(), ElementsAre("one-ADD", "one-DEL"));
}

TEST(FirstAddress, ComesWithoutPrefix) {
  EXPECT_EQ(first_address(R"({"ips":[{"address":"fd00::5/64"},{"address":"10.0.0.5/8"}]})"),
            "fd00::5");
  for (const char* none : {"", "null", "{}", R"({"ips":[]})", R"({"ips":[{}]})", R"({"ips":7})"}) {
    EXPECT_EQ(first_address(none), "") << none;
  }
}

}  // namespace
}  // namespace wherry::runtime
