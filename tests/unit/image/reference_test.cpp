#include "runtime/image/reference.h"

#include <gtest/gtest.h>

#include "base/text.h"

namespace wherry::runtime {
namespace {

const std::string kDigest = "sha256:" + std::string(64, 'a');

struct Good {
  std::string text, name;
};

TEST(Reference, CompletesWhatIsLeftOutAsDockerDoes) {
  const std::vector<Good> cases{
      {"busybox", "docker.io/library/busybox:latest"},
      {"busybox:1.36", "docker.io/library/busybox:1.36"},
      {"eclipse/mosquitto:2", "docker.io/eclipse/mosquitto:2"},
      {"docker.io/busybox", "docker.io/library/busybox:latest"},
      {"index.docker.io/busybox", "docker.io/library/busybox:latest"},
      {"docker.io/a/b/c", "docker.io/a/b/c:latest"},
      {"localhost/x", "localhost/x:latest"},
      {"localhost:5000/x:1", "localhost:5000/x:1"},
      {"registry.local/web", "registry.local/web:latest"},
      {"host:443/web", "host:443/web:latest"},
      {"[::1]:5000/web", "[::1]:5000/web:latest"},
      {"127.0.0.1:5000/a/b:v1.0-x_y", "127.0.0.1:5000/a/b:v1.0-x_y"},
      {"host/web", "docker.io/host/web:latest"},
      {"a__b/c-d--e.f", "docker.io/a__b/c-d--e.f:latest"},
      {"x@" + kDigest, "docker.io/library/x@" + kDigest},
      {"r.io/x:1@" + kDigest, "r.io/x@" + kDigest},
      {"Registry.Local/web", "Registry.Local/web:latest"},
  };
  for (const Good& each : cases) {
    const auto reference = parse_reference(each.text);
    ASSERT_TRUE(reference) << each.text << ": " << reference.error().full();
    EXPECT_EQ(reference->name(), each.name);
    const auto again = parse_reference(reference->name());
    ASSERT_TRUE(again) << each.name;
    EXPECT_EQ(again->name(), each.name) << "a full name stays as it is";
  }
}

TEST(Reference, KeepsTheTagBesideADigest) {
  const auto reference = parse_reference("x:1@" + kDigest);
  ASSERT_TRUE(reference);
  EXPECT_EQ(reference->tag, "1");
  EXPECT_EQ(reference->digest, kDigest);
}

TEST(Reference, RefusesWhatIsNoneAndSaysWhy) {
  const std::vector<Good> cases{
      {"", "empty"},
      {"Busybox", "lower case"},
      {"a//b", "repository"},
      {"a/", "separators"},
      {"r.io/", "missing"},
      {"/a", "repository"},
      {"x:", "tag"},
      {"x:" + std::string(129, 't'), "tag"},
      {"x:-t", "tag"},
      {"x@sha256:abc", "digest"},
      {"x@" + kDigest + "@" + kDigest, "digest"},
      {"x@sha512:" + std::string(128, 'a'), "digest"},
      {"x y", "repository"},
      {"a..b", "repository"},
      {"a___b", "repository"},
      {"-a", "repository"},
      {"host.:80/x", "host name"},
      {"host:99999/x", "host name"},
      {"host:/x", "host name"},
      {"https://registry.local/x", "host name"},
      {"../../etc/passwd", "host name"},
      {std::string(64, 'a'), "image id"},
      {"r.io/" + std::string(300, 'a'), "too long"},
      {std::string(5000, 'a'), "too long"},
      {"x\xff", "repository"},
  };
  for (const Good& each : cases) {
    const auto reference = parse_reference(each.text);
    ASSERT_FALSE(reference) << each.text;
    EXPECT_EQ(reference.error().code(), Code::InvalidArgument);
    EXPECT_EQ(reference.error().reason(), "InvalidImageName");
    EXPECT_NE(reference.error().message().find(each.name), std::string::npos)
        << each.text << " -> " << reference.error().message();
  }
}

TEST(Reference, AMessageIsShortAndOnOneLineWhateverWasWritten) {
  for (const std::string text : {"a\nb", "x.\xff/y", "a.\x1b[2J:1/y"}) {
    const std::string message = parse_reference(text).error().full();
    EXPECT_NE(message.find('?'), std::string::npos) << message;
    EXPECT_TRUE(is_valid_utf8(message)) << message;
  }
  const std::string endless = std::string(2000, 'a') + ".:/" + std::string(2000, 'b');
  EXPECT_LT(parse_reference(endless).error().full().size(), 500u);
}

}  // namespace
}  // namespace wherry::runtime
