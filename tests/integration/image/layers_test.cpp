// Layers in every packing, from a registry through a real containerd onto a real file system.

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/containerd/image_backend.h"
#include "runtime/image/image_service.h"
#include "tests/support/containerd_daemon.h"
#include "tests/unit/image/scripted_registry.h"

namespace wherry::test {
namespace {

using image_test::Packing;

TEST(Layers, PlainGzipAndZstdAreUnpacked) {
  image_test::ScriptedRegistry registry;
  ContainerdDaemon containerd;
  containerd.start();
  const SystemClock clock;
  runtime::Client client({containerd.socket(), "wherry", "overlayfs"});
  const auto backend = runtime::make_containerd_backend(client, clock);
  runtime::ImageServiceOptions options;
  runtime::ImageService service(*backend, options);
  const std::string content(3'000'000, 'w');
  const auto image =
      image_test::make_image({image_test::make_layer("plain", content, Packing::Plain),
                              image_test::make_layer("gzip", content, Packing::Gzip),
                              image_test::make_layer("zstd", content, Packing::Zstd)},
                             options.platform.architecture, options.platform.variant);
  const auto pulled = service.pull({registry.add(image, "packed", "1")}, {});
  ASSERT_TRUE(pulled) << pulled.error().full();
  const std::string mount = containerd.directory() + "/look";
  std::filesystem::create_directory(mount);
  const auto mounted = containerd.ctr("wherry", {"images", "mount", pulled->name, mount});
  ASSERT_EQ(mounted.exit_code, 0) << mounted.err;
  for (const char* name : {"plain", "gzip", "zstd"}) {
    EXPECT_EQ(read_text(mount + "/" + name), content) << name;
  }
  EXPECT_EQ(containerd.ctr("wherry", {"images", "unmount", "--rm", mount}).exit_code, 0);
}

}  // namespace
}  // namespace wherry::test
