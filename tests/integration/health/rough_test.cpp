// Containers that take whatever they can get: each ends at a bound, and its neighbour hears nothing
// of it.

#include <filesystem>
#include <system_error>

#include <gmock/gmock.h>

#include "tests/integration/health/health_fixture.h"

namespace wherry::test {
namespace {

using testing::HasSubstr;

class RoughTest : public HealthTest {
 protected:
  static constexpr uintmax_t kLogBytes = 256 << 10;

  void configure(WherryOptions& options) override {
    HealthTest::configure(options);
    options.sets.push_back("telemetry.logs.max_bytes=256Ki");
  }

  uintmax_t bytes_of_log(const std::string& workload) const {
    uintmax_t bytes = 0;
    const std::string logs = agent_->state_dir() + "/logs/" + workload;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(logs)) {
      std::error_code renamed;  // by the rotation, and it comes again under its new name
      if (!entry.is_regular_file(renamed)) continue;
      const uintmax_t size = entry.file_size(renamed);
      if (!renamed) bytes += size;
    }
    return bytes;
  }
};

TEST_F(RoughTest, ForksLogsAndVariablesWithoutEndLeaveTheNeighbourAlone) {
  json variables = json::array();
  for (int i = 0; i < 10'000; ++i) {
    variables.push_back({{"name", "N" + std::to_string(i)}, {"value", std::to_string(i * 7)}});
  }
  const json neighbour = pod(
      "neighbour",
      {container("main", kForever, {{"livenessProbe", exec({"true"}, {{"timeoutSeconds", 60}})}})});
  publish(1, {neighbour});
  running("neighbour");
  const int before = pid_of("neighbour", "main");
  publish(2, {neighbour,
              pod("many", {container("main",
                                     "env | grep -c '^N[0-9]' > /out/log; echo $N9999 >> /out/log; "
                                     "touch /out/counted; " +
                                         std::string(kForever),
                                     {{"env", variables}})}),
              pod("bomb", {container("main", "while :; do sleep 100000 & done")},
                  {{"restartPolicy", "Never"}}),
              pod("flood", {container("main", "yes | head -c 8000000; touch /out/flooded; " +
                                                  std::string(kForever))})});
  const auto exists = [&](const char* name) { return std::filesystem::exists(file(name)); };
  EXPECT_TRUE(wait_until([&] { return exists("counted"); }));
  EXPECT_EQ(lines(), (std::vector<std::string>{"10000", "69993"}));
  const json bomb = until("bomb", [](const json& now) { return now["phase"] == "Failed"; });
  EXPECT_THAT(agent_->cli({"logs", "bomb"}).out, HasSubstr("can't fork")) << bomb.dump(1);
  EXPECT_TRUE(wait_until([&] { return exists("flooded"); }));
  EXPECT_LE(bytes_of_log("flood"), kLogBytes);
  EXPECT_GT(bytes_of_log("flood"), 0U);

  publish(3, {neighbour});
  EXPECT_TRUE(wait_until([&] { return agent_->reported()["workloads"].size() == 1; }));
  EXPECT_EQ(tasks().size(), 1U);
  EXPECT_EQ(pid_of("neighbour", "main"), before);
  EXPECT_EQ(container_of(agent_->workload("neighbour"), "main")["restarts"], 0);
}

}  // namespace
}  // namespace wherry::test
