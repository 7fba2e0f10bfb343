// Claims of a Pod's own, the names in its files, and what is known of the device only now.

#include <sys/stat.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "runtime/device_amounts.h"
#include "runtime/volume/volumes.h"
#include "tests/support/temp_dir.h"

namespace wherry::runtime {
namespace {

class PodsOwn : public testing::Test {
 protected:
  PodsOwn() {
    pod_.name = "web";
    pod_.hostname = "one";
    container_.name = "main";
  }
  ~PodsOwn() override { static_cast<void>(volumes_.remove("web")); }
  std::string run_file(const std::string& name) {
    return read_file(dir_ / ("run/pods/web/" + name)).value_or("(none)");
  }

  test::TempDir dir_;
  Volumes volumes_{dir_ / "state", dir_ / "run"};
  PodSpec pod_;
  ContainerSpec container_;
};

TEST_F(PodsOwn, ClaimsStayAsLongAsThePodAndGoWithIt) {
  Volume own;
  own.name = "data";
  own.kind = Volume::Kind::Claim;
  own.claim = "web-data";
  own.owned = true;
  Volume kept = own;
  kept.name = "kept";
  kept.claim = "kept";
  kept.owned = false;
  pod_.volumes = {own, kept};
  container_.mounts = {{"data", "/data"}, {"kept", "/kept"}};
  ASSERT_TRUE(volumes_.prepare(pod_, {"10.89.0.2", ""}));
  const auto mounts = volumes_.mounts(pod_, container_);
  ASSERT_TRUE(mounts) << mounts.error().full();
  const std::string source = mounts->front().source;
  EXPECT_EQ(mounts->front().destination, "/data");
  EXPECT_EQ(source, dir_ / "state/pods/web/claims/data");
  ASSERT_TRUE(write_file_atomic(source + "/file", "x"));
  ASSERT_TRUE(write_file_atomic(dir_ / "state/claims/kept/file", "x"));
  struct stat info {};
  ASSERT_EQ(stat(source.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0777U) << "containers run as any user";
  ASSERT_TRUE(volumes_.prepare(pod_, {"10.89.0.3", ""}));
  EXPECT_EQ(read_file(source + "/file").value_or(""), "x") << "a restart takes nothing away";
  ASSERT_TRUE(volumes_.remove("web"));
  EXPECT_EQ(read_file(source + "/file").error().code(), Code::NotFound);
  EXPECT_EQ(read_file(dir_ / "state/claims/kept/file").value_or(""), "x");
}

TEST_F(PodsOwn, FilesKnowItsFullName) {
  pod_.domain = "db.default.svc.cluster.local";
  ASSERT_TRUE(volumes_.prepare(pod_, {"10.89.0.2", ""}));
  EXPECT_THAT(run_file("hosts"),
              testing::HasSubstr("10.89.0.2\tone.db.default.svc.cluster.local\tone\n"));
  EXPECT_EQ(run_file("hostname"), "one\n");
  pod_.hostname_is_full = true;
  ASSERT_TRUE(volumes_.prepare(pod_, {"10.89.0.2", ""}));
  EXPECT_EQ(run_file("hostname"), "one.db.default.svc.cluster.local\n");
}

TEST_F(PodsOwn, IpcCanBeThatOfTheDevice) {
  pod_.host_ipc = true;
  pod_.containers = {container_, container_};
  ASSERT_TRUE(volumes_.prepare(pod_, {"10.89.0.2", ""}));
  EXPECT_EQ(volumes_.ipc_path(pod_), "");
  const auto mounts = volumes_.mounts(pod_, container_);
  ASSERT_TRUE(mounts);
  const auto shm = std::find_if(mounts->begin(), mounts->end(), [](const BindMount& mount) {
    return mount.destination == "/dev/shm";
  });
  ASSERT_NE(shm, mounts->end());
  EXPECT_EQ(shm->source, "/dev/shm");
}

TEST_F(PodsOwn, FilesSayWhatTheDeviceHas) {
  Volume info;
  info.name = "info";
  info.kind = Volume::Kind::Files;
  info.files = {{"cores", device_amount_mark(DeviceResource::Cpu, 1000)}, {"plain", "text"}};
  pod_.volumes = {info};
  ASSERT_TRUE(volumes_.prepare(pod_, {"10.89.0.2", ""}));
  const std::string at = volumes_.source_of("web", info);
  EXPECT_GE(std::atoi(read_file(at + "/cores").value_or("").c_str()), 1);
  EXPECT_EQ(read_file(at + "/plain").value_or(""), "text");
}

}  // namespace
}  // namespace wherry::runtime
