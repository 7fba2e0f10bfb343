// The examples of tests/examples on a real container stack, all at once: what they say happens.

#include <csignal>

#include "tests/examples/example.h"
#include "tests/support/system_fixture.h"

namespace wherry::test {
namespace {

using nlohmann::json;

class ExamplesTest : public SystemTest {
 protected:
  void configure(WherryOptions& options) override {
    options.sets.push_back("device.clock=trusted");
  }

  static bool is_line(const std::string& text, const std::string& line) {
    return ("\n" + text + "\n").find("\n" + line + "\n") != std::string::npos;
  }
  json container_of(const ExampleLine& line) {
    const json workload = agent_->workload(line.words[0]);
    if (!workload.is_object()) return json::object();
    for (const json& each : workload["containers"]) {
      if (each["name"] == line.words[1]) return each;
    }
    return json::object();
  }
  json controller_of(const std::string& name) {
    const json state = agent_->reported();
    if (!state.is_object()) return json::object();
    for (const json& each : state.value("controllers", json::array())) {
      if (each["name"] == name) return each;
    }
    return json::object();
  }
  std::string log_of(const ExampleLine& line) {
    return agent_->cli({"logs", line.words[0], "-c", line.words[1]}).out;
  }

  void expect(const ExampleLine& line) {
    SCOPED_TRACE(line.what + " " + line.words[0] + " " + line.rest);
    const std::string& name = line.words[0];
    if (line.what == "pod") {
      EXPECT_TRUE(agent_->wait_phase(name, line.rest)) << agent_->workload(name).dump(1);
    } else if (line.what == "job" || line.what == "cronjob") {
      EXPECT_TRUE(wait_until([&] { return controller_of(name).value("phase", "") == line.rest; }))
          << controller_of(name).dump(1) << agent_->workload(name).dump(1);
    } else if (line.what == "log") {
      EXPECT_TRUE(wait_until([&] { return is_line(log_of(line), line.rest); })) << log_of(line);
    } else if (line.what == "exit") {
      EXPECT_EQ(container_of(line).value("exitCode", -1), std::stoi(line.rest));
    } else if (line.what == "message") {
      EXPECT_EQ(container_of(line).value("message", ""), line.rest + "\n");
    } else if (line.what == "restarts") {
      EXPECT_TRUE(wait_until([&] {
        return container_of(line).value("restarts", 0) >= std::stoi(line.rest);
      })) << container_of(line).dump(1);
    } else if (line.what == "not-here") {
      EXPECT_TRUE(agent_->workload(name).is_null());
      EXPECT_NE(agent_->reported().dump().find(line.rest), std::string::npos);
    }
  }
};

TEST_F(ExamplesTest, DoWhatTheySay) {
  ImageOptions model;
  model.files = {{"model/weights", "1 2 3"}};
  import_image("registry.local/model:1", model);
  const auto all = load_examples(WHERRY_SOURCE_DIR "/tests/examples");
  for (const Example& example : all) {
    if (!example.refused()) write_text(agent_->manifests_dir() + "/" + example.file, example.text);
  }
  agent_->process().signal(SIGHUP);
  for (const Example& example : all) {
    if (example.refused()) continue;
    SCOPED_TRACE(example.file);
    for (const ExampleLine& line : example.lines) {
      if (line.what != "warning") expect(line);
    }
  }
}

}  // namespace
}  // namespace wherry::test
