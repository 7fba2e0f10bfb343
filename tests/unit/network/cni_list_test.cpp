#include "runtime/network/cni_list.h"

#include <cstdlib>
#include <fstream>
#include <sys/stat.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/files.h"

namespace wherry::runtime {
namespace {

using Json = nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

class CniListTest : public testing::Test {
 protected:
  CniListTest() {
    char name[] = "/tmp/wherry-cni-XXXXXX";
    dir = mkdtemp(name);
    options = {"/run/x", "/bin", dir + "/net.d", "10.1.0.0/16", "br7"};
  }
  ~CniListTest() override { static_cast<void>(remove_tree(dir)); }
  void put(const std::string& name, const std::string& text) const {
    mkdir(options.cni_conf_dir.c_str(), 0755);
    std::ofstream(options.cni_conf_dir + "/" + name) << text;
  }
  std::string dir;
  NetworkOptions options;
};

constexpr const char* kList =
    R"({"cniVersion":"1.0.0","name":"a","plugins":[{"type":"bridge"},{"type":"portmap",
        "capabilities":{"portMappings":true,"bandwidth":false}}]})";

TEST_F(CniListTest, TakesAListAsItIs) {
  const auto list = parse_network_list(kList);
  ASSERT_TRUE(list);
  EXPECT_EQ(Json::parse(*list), Json::parse(kList));
  EXPECT_TRUE(has_capability(*list, "portMappings"));
  EXPECT_FALSE(has_capability(*list, "bandwidth"));
  EXPECT_FALSE(has_capability(*list, "dns"));
  EXPECT_THAT(bridges_of(*list), ElementsAre("cni0"));
}

TEST_F(CniListTest, MakesAListOfASingleConfiguration) {
  const auto list =
      parse_network_list(R"({"cniVersion":"0.3.1","name":"b","type":"bridge","bridge":"x0"})");
  ASSERT_TRUE(list);
  const Json parsed = Json::parse(*list);
  EXPECT_EQ(parsed["name"], "b");
  EXPECT_EQ(parsed["cniVersion"], "0.3.1");
  ASSERT_EQ(parsed["plugins"].size(), 1U);
  EXPECT_EQ(parsed["plugins"][0]["bridge"], "x0");
  EXPECT_THAT(bridges_of(*list), ElementsAre("x0"));
}

TEST_F(CniListTest, RefusesWhatIsNone) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "no JSON"},
      {"[]", "no JSON object"},
      {R"({"cniVersion":"1.0.0","plugins":[{"type":"x"}]})", "no name"},
      {R"({"name":"a","plugins":[{"type":"x"}]})", "no cniVersion"},
      {R"({"cniVersion":"0.1.0","name":"a","type":"x"})", "0.1.0 is not supported"},
      {R"({"cniVersion":"1.0.0","name":"a","plugins":[]})", "no plugins"},
      {R"({"cniVersion":"1.0.0","name":"a","plugins":{}})", "no plugins"},
      {R"({"cniVersion":"1.0.0","name":"a","plugins":[{}]})", "without type"},
      {R"({"cniVersion":"1.0.0","name":"a"})", "without type"},
      {R"({"cniVersion":"1.0.0","name":"a","type":"../evil"})", "is a path"},
  };
  for (const auto& [text, message] : cases) {
    const auto list = parse_network_list(text);
    ASSERT_FALSE(list) << text;
    EXPECT_THAT(list.error().message(), HasSubstr(message));
  }
}

TEST_F(CniListTest, OursIsValidAndBoundToItsOptions) {
  const std::string ours = default_network_list(options);
  ASSERT_TRUE(parse_network_list(ours));
  const Json parsed = Json::parse(ours);
  const Json& bridge = parsed["plugins"][0];
  EXPECT_EQ(bridge["bridge"], "br7");
  EXPECT_EQ(bridge["ipMasq"], true);
  EXPECT_EQ(bridge["ipam"]["dataDir"], "/run/x/ipam");
  EXPECT_EQ(bridge["ipam"]["ranges"], Json::parse(R"([[{"subnet":"10.1.0.0/16"}]])"));
  EXPECT_EQ(bridge["ipam"]["routes"], Json::parse(R"([{"dst":"0.0.0.0/0"}])"));
  EXPECT_TRUE(has_capability(ours, "portMappings"));
}

TEST_F(CniListTest, WritesOursWhereThereIsNoneAndKeepsItCurrent) {
  const std::string path = options.cni_conf_dir + "/87-br7.conflist";
  ASSERT_TRUE(load_network_list(options));
  EXPECT_THAT(*read_file(path), HasSubstr("10.1.0.0/16"));
  options.bridge_subnet = "10.2.0.0/16";
  EXPECT_EQ(*load_network_list(options), default_network_list(options));
  EXPECT_THAT(*read_file(path), HasSubstr("10.2.0.0/16"));
  struct stat before {};
  stat(path.c_str(), &before);
  ASSERT_TRUE(load_network_list(options));
  struct stat after {};
  stat(path.c_str(), &after);
  EXPECT_EQ(before.st_ino, after.st_ino);  // not written again
}

TEST_F(CniListTest, TakesTheFirstThatIsValid) {
  put("00-notes.txt", "no configuration");
  put("05-broken.conflist", "{");
  put("20-second.conf", R"({"cniVersion":"0.4.0","name":"second","type":"ptp"})");
  put("10-first.conflist", kList);
  EXPECT_EQ(Json::parse(*load_network_list(options))["name"], "a");
}

TEST_F(CniListTest, DoesNotReplaceABrokenConfigurationByItsOwn) {
  put("05-broken.conflist", "{");
  const auto list = load_network_list(options);
  ASSERT_FALSE(list);
  EXPECT_THAT(list.error().full(), HasSubstr("05-broken.conflist"));
  EXPECT_NE(access((options.cni_conf_dir + "/87-br7.conflist").c_str(), F_OK), 0);
}

}  // namespace
}  // namespace wherry::runtime
