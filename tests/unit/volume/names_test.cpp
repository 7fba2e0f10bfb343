// Names of Services in the hosts files of Pods.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "runtime/volume/pod_names.h"
#include "tests/support/temp_dir.h"

namespace wherry::runtime {
namespace {

const std::map<std::string, PodAddress> kPods = {{"web", {"10.89.0.2", "10.89.0.1"}},
                                                 {"broker", {"10.89.0.3", "10.89.0.1"}},
                                                 {"camera", {"", ""}}};

TEST(ServiceLines, StandAboveWorkloadsAndHideThoseOfTheirName) {
  const std::string services = "10.90.0.7\tbroker broker.default\n10.90.0.8\tapi\n";
  EXPECT_EQ(make_names("web", kPods, services), services + "10.89.0.1\tcamera\n");
  EXPECT_EQ(make_names("camera", kPods, services), services + "10.89.0.2\tweb\n");
}

TEST(ServiceLines, AnAddressOfTheDeviceDependsOnTheReader) {
  const std::string services = "-\tcam cam.default\n";
  EXPECT_EQ(make_names("web", kPods, services),
            "10.89.0.1\tcam cam.default\n10.89.0.3\tbroker\n10.89.0.1\tcamera\n");
  EXPECT_EQ(make_names("camera", kPods, services),
            "127.0.0.1\tcam cam.default\n10.89.0.3\tbroker\n10.89.0.2\tweb\n");
}

TEST(ServiceLines, OutliveTheAgentAndShowInEveryPod) {
  const test::TempDir dir;
  ASSERT_TRUE(make_directories(dir / "pods/web"));
  ASSERT_TRUE(make_directories(dir / "pods/db"));
  const auto hosts = [&](const std::string& pod) {
    return read_file(dir / ("pods/" + pod + "/hosts")).value_or("");
  };
  PodNames names(dir / "pods", dir / "services");
  ASSERT_TRUE(names.put("web", {"10.89.0.2", "10.89.0.1"}, "own\n"));
  ASSERT_TRUE(write_file_atomic(dir / "services", "10.90.0.7\tdb\n"));
  names.refresh();
  EXPECT_EQ(hosts("web"), std::string("own\n") + kNamesMark + "10.90.0.7\tdb\n");
  PodNames next(dir / "pods", dir / "services");
  ASSERT_TRUE(next.put("db", {"10.89.0.3", "10.89.0.1"}, "own\n"));
  EXPECT_EQ(hosts("db"), std::string("own\n") + kNamesMark + "10.90.0.7\tdb\n10.89.0.2\tweb\n");
  EXPECT_EQ(hosts("web"), std::string("own\n") + kNamesMark + "10.90.0.7\tdb\n");
}

}  // namespace
}  // namespace wherry::runtime
