#pragma once
// The built program against a server of the test's own.

#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/process.h"
#include "tests/unit/api/api_fixture.h"

namespace wherry::test {

inline constexpr const char* kGood = R"(apiVersion: wherry/v1
kind: DesiredState
metadata: { revision: 1 }
spec:
  items:
  - apiVersion: v1
    kind: Pod
    metadata: { name: web }
    spec:
      containers:
      - { name: web, image: web:1 }
)";
inline constexpr const char* kBad = R"(apiVersion: wherry/v1
kind: DesiredState
metadata: { revision: 1 }
spec:
  items:
  - apiVersion: v1
    kind: Pod
    metadata: { name: web }
    spec:
      containers:
      - { name: web, imgae: web:1 }
)";

class ProgramTest : public ApiTest {
 protected:
  ProgramTest() { start(); }
  CommandResult wherry(std::vector<std::string> args) const {
    args.insert(args.begin(), {WHERRY_PROGRAM, "--socket", options.socket});
    return run_command(std::move(args));
  }
  ProcessOptions follow_web() const {
    ProcessOptions follow;
    follow.argv = {WHERRY_PROGRAM, "--socket", options.socket, "logs", "-f", "web"};
    return follow;
  }
  ProcessOptions pull_web() const {
    ProcessOptions pull;
    pull.argv = {WHERRY_PROGRAM, "--socket", options.socket, "images", "pull", "web:1"};
    return pull;
  }
  // As docs/cli.md has errors: one line on standard error.
  static void expect_one_line(const CommandResult& result) {
    EXPECT_EQ(result.err.find("wherry: "), 0u) << result.err;
    EXPECT_EQ(result.err.find('\n'), result.err.size() - 1) << result.err;
    EXPECT_EQ(result.out, "");
  }
};

}  // namespace wherry::test
