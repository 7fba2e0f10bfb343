#include "tests/bench/dashboard_bench.h"

#include <algorithm>
#include <stdexcept>
#include <vector>

#include "tests/bench/bench_table.h"
#include "tests/bench/bench_world.h"
#include "tests/bench/process_stats.h"
#include "tests/support/browser.h"

namespace wherry::bench {
namespace {

using nlohmann::json;

constexpr const char* kToken = "a-token-of-the-benchmark-0123456789";
constexpr test::Millis kLooking{20'000};
constexpr const char* kShown = "return performance.getEntriesByName('data-shown').length";
constexpr const char* kPainted =
    "return ['data-shown', 'first-contentful-paint'].every("
    "(name) => performance.getEntriesByName(name).length)";
// The page and what it loads, of the browser's own accounts (Resource Timing): plain and as it
// came.
constexpr const char* kBytes = R"js(
const own = performance.getEntriesByType('resource').filter((each) => !/\/v1\/|\/metrics/.test(each.name));
const sum = (key) => [...performance.getEntriesByType('navigation'), ...own].reduce((all, each) => all + each[key], 0);
return [sum('decodedBodySize'), sum('encodedBodySize')];
)js";

void wait(test::Browser& browser, const char* script) {
  if (!browser.wait(script)) throw std::runtime_error(std::string("the page never had: ") + script);
}

// Milliseconds from the beginning of a navigation until anything is painted, and until data is.
struct Painted {
  double first, data;
};

Painted painted_after(test::Browser& browser, bool anew) {
  std::vector<double> first, data;
  // More would be more requests from one address than the agent answers.
  for (int round = 0; round < 3; ++round) {
    browser.reload(anew);
    wait(browser, kPainted);
    const auto time_of = [&](const std::string& entry) -> double {
      return browser.run("return performance.getEntriesByName('" + entry + "')[0].startTime");
    };
    first.push_back(time_of("first-contentful-paint"));
    // Where data is there before anything was painted, it is in the first picture.
    data.push_back(std::max(time_of("data-shown"), first.back()));
  }
  return {median(first), median(data)};
}

}  // namespace

void dashboard() {
  const test::TempDir files;
  test::write_text(files / "token", std::string(kToken) + "\n", 0640);
  const std::string address = "127.0.0.1:" + std::to_string(test::free_port());
  World world(true, {"api.listen=" + address, "api.token_file=" + (files / "token")});
  test::Browser browser;
  browser.open("http://" + address + "/");
  wait(browser, "return document.getElementById('ask').open");
  browser.type("#t-token", kToken);
  browser.press("\uE007");
  wait(browser, kShown);

  heading("Dashboard, in Chromium on this machine");
  const json bytes = browser.run(kBytes);
  row("page, styles, script and icon", bytes[0].get<double>() / 1000, "kB", 100);
  row("  as they are sent", bytes[1].get<double>() / 1000, "kB", 0);
  for (const int count : {10, 50}) {
    std::vector<json> pods;
    for (int i = 0; i < count; ++i) pods.push_back(world.pod("d" + std::to_string(i), true));
    world.publish(pods);
    world.settle(pods.size());
    const std::string workloads = std::to_string(count) + " workloads";
    const Painted anew = painted_after(browser, true), again = painted_after(browser, false);
    row("floor: the page without data", anew.first, "ms", 0);
    row("data painted, " + workloads + ", nothing cached", anew.data, "ms", 300);
    row("data painted, " + workloads + ", once more", again.data, "ms", 300);
  }
  const int64_t before = cpu_nanoseconds(world.agent_pid());
  (void)test::wait_until([] { return false; }, kLooking);
  row("the agent's CPU while somebody looks, 50 workloads",
      static_cast<double>(cpu_nanoseconds(world.agent_pid()) - before) / 1e6 /
          static_cast<double>(kLooking.count()) * 100,
      "%", 0);
  world.clear();
}

}  // namespace wherry::bench
