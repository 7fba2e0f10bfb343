// The dashboard in a real browser, over a real device.

#include <cstdlib>
#include <filesystem>
#include <set>
#include <sys/utsname.h>

#include "tests/integration/dashboard/page_checks.h"
#include "tests/support/browser.h"
#include "tests/support/registry.h"
#include "tests/support/system_fixture.h"
#include "tests/support/tcp_relay.h"

namespace wherry::test {
namespace {

using nlohmann::json;

constexpr const char* kToken = "a-token-of-the-tests-0123456789";
constexpr const char* kHostile = "<img src=x onerror=document.title='owned'>";

// A function body that is true once the element has this text somewhere in it.
std::string has_text(const std::string& css, const std::string& text) {
  return "return [...document.querySelectorAll(" + json(css).dump() +
         ")].some((each) => each.textContent.includes(" + json(text).dump() + "))";
}
std::string is_open(const std::string& id) {
  return "return document.getElementById(" + json(id).dump() + ").open";
}

class DashboardTest : public SystemTest {
 protected:
  void configure(WherryOptions& options) override {
    write_text(files_ / "token", std::string(kToken) + "\n", 0640);
    port_ = free_port();
    options.sets = {"api.listen=127.0.0.1:" + std::to_string(port_),
                    "api.token_file=" + (files_ / "token")};
  }
  void SetUp() override {
    SystemTest::SetUp();
    browser_ = std::make_unique<Browser>();
  }
  // Nothing was kept out by the page's policy and no script failed. That requests fail while the
  // token is wrong or the agent is away is also told there.
  void TearDown() override {
    for (const json& entry : browser_->log()) {
      EXPECT_EQ(entry.value("source", ""), "network") << entry.dump();
    }
    if (HasFailure()) {
      std::fprintf(stderr, "page: %s\n",
                   browser_->run("return document.body.innerText").get<std::string>().c_str());
    }
    browser_.reset();
    SystemTest::TearDown();
  }

  void open() {
    browser_->open("http://127.0.0.1:" + std::to_string(port_) + "/");
    ASSERT_TRUE(browser_->wait(is_open("ask")));
    browser_->type("#t-token", kToken);
    browser_->press("\uE007");  // Enter
    ASSERT_TRUE(browser_->wait("return !document.getElementById('page').hidden"));
  }
  void open_workload(const std::string& name) {
    const std::string link = "#rows a[href='#workload/" + name + "']";
    ASSERT_TRUE(browser_->wait("return document.querySelector(" + json(link).dump() + ")"));
    browser_->click(link);
    ASSERT_TRUE(browser_->wait(is_open("detail")));
  }
  void expect_text(const std::string& css, const std::string& text) {
    EXPECT_TRUE(browser_->wait(has_text(css, text))) << css << ": " << text;
  }
  std::string text_of(const std::string& css) {
    return browser_->run("return document.querySelector(" + json(css).dump() + ").textContent");
  }
  // Prints a line with a number five times a second.
  static json talker(const std::string& name) {
    json pod = simple_pod(name, kImage,
                          {"/bin/sh", "-c",
                           "i=0; while :; do i=$((i+1)); echo \"number $i \u202E" +
                               std::string(kHostile) + "\"; sleep 0.2; done"});
    pod["spec"]["terminationGracePeriodSeconds"] = 0;
    return pod;
  }
  // A picture for people, where they say where to.
  void picture(const std::string& name) {
    const char* directory = std::getenv("WHERRY_TEST_SCREENSHOTS");
    if (directory != nullptr) browser_->screenshot(std::string(directory) + "/" + name + ".png");
  }
  void expect_sound(const std::string& what) {
    EXPECT_EQ(browser_->run(kTooWide), json::array()) << what;
    EXPECT_EQ(browser_->run(kPoorContrast), json::array()) << what;
    EXPECT_EQ(browser_->run(kNameless), json::array()) << what;
  }

  std::unique_ptr<Browser> browser_;
  int port_ = 0;
};

TEST_F(DashboardTest, AsksForTheTokenAndShowsTheDevice) {
  publish(1, {talker("web"), sleeper("calm")});
  running("web");
  running("calm");
  browser_->open("http://127.0.0.1:" + std::to_string(port_) + "/");
  ASSERT_TRUE(browser_->wait(is_open("ask")));
  EXPECT_EQ(browser_->run("return document.getElementById('page').hidden"), true);
  browser_->type("#t-token", "short");
  browser_->press("\uE007");
  expect_text("#t-wrong", "at least 16");
  browser_->type("#t-token", "-but-still-not-the-one");
  browser_->press("\uE007");
  expect_text("#t-wrong", "does not accept");
  EXPECT_EQ(browser_->run("return document.getElementById('page').hidden"), true);
  browser_->type("#t-token", kToken);
  browser_->press("\uE007");
  expect_text("#device", "dev-1");

  // It is kept for this tab, and nowhere else.
  EXPECT_EQ(browser_->run("return Object.values(sessionStorage)"), json({kToken}));
  EXPECT_EQ(browser_->run("return localStorage.length + document.cookie.length"), 0);
  browser_->reload();
  expect_text("#link", "Live");
  EXPECT_EQ(browser_->run(is_open("ask")), false);

  utsname kernel{};
  ASSERT_EQ(uname(&kernel), 0);
  expect_text("#facts", kernel.release);
  for (const char* condition : {"ContainerdReady", "StoreReady", "BrokerConnected"}) {
    expect_text("#conditions [data-sign=ok]", condition);
  }
  expect_text("#rows .row[data-sign=ok] .c-name", "web");
  expect_text("#rows .row[data-sign=ok] .c-state", "Running");
  expect_text("#documents", "Applied, revision 1");
  expect_text("#queues", "telemetry");
  expect_text("#images", kImage);
  expect_text("#images", "used by calm, web");
  expect_text("#events", "calm");
  expect_text("#g-link", "Connected");
  // Two readings make a rate, and two of those a line.
  EXPECT_TRUE(
      browser_->wait("return [...document.querySelectorAll('#rows .curve')].every((curve) => "
                     "(curve.getAttribute('d') || '').includes('L'))"));
  EXPECT_EQ(browser_->run("return [...document.querySelectorAll('#rows .c-plot .value')].filter("
                          "(each) => !/\\d/.test(each.textContent)).length"),
            0);

  // Another token on the device: what is seen is not live, and the old one is forgotten.
  const std::string other = "another-" + std::string(kToken);
  write_text(files_ / "token", other + "\n", 0640);
  ASSERT_TRUE(browser_->wait(is_open("ask")));
  expect_text("#link", "Waiting for the token");
  EXPECT_EQ(browser_->run("return document.body.classList.contains('stale')"), true);
  EXPECT_EQ(browser_->run("return Object.values(sessionStorage).join('')"), "");
  browser_->type("#t-token", other);
  browser_->press("\uE007");
  expect_text("#link", "Live");
  EXPECT_EQ(browser_->run("return document.body.classList.contains('stale')"), false);
}

TEST_F(DashboardTest, OrdersAreGivenAfterAQuestion) {
  publish(1, {talker("web")});
  running("web");
  const int first = pid_of("web");
  open();
  open_workload("web");
  expect_text("#d-why", "All is as it should be.");
  browser_->click("#d-restart");
  ASSERT_TRUE(browser_->wait(is_open("confirm")));
  EXPECT_EQ(text_of("#c-title"), "Restart web?");
  browser_->press("\uE00C");  // Escape
  ASSERT_TRUE(browser_->wait("return !document.getElementById('confirm').open"));
  EXPECT_EQ(pid_of("web"), first);
  browser_->click("#d-restart");
  browser_->click("#c-yes");
  expect_text("#toasts", "web restarts");
  EXPECT_TRUE(wait_until([&] {
    const int now = pid_of("web");
    return now != 0 && now != first;
  }));

  expect_text("#d-state", "Running");
  browser_->click("#d-stop");
  browser_->click("#c-yes");
  expect_text("#d-state", "Stopped");
  expect_text("#d-why", "StoppedByOperator");
  EXPECT_EQ(pid_of("web"), 0);
  browser_->click("#d-start");
  browser_->click("#c-yes");
  expect_text("#d-state", "Running");
  EXPECT_NE(pid_of("web"), 0);
}

TEST_F(DashboardTest, LogsAndEventsAreFollowedAndStayText) {
  publish(1, {talker("web")});
  running("web");
  open();
  open_workload("web");
  const std::string lines = "document.querySelectorAll('#d-logs > div')";
  EXPECT_TRUE(browser_->wait("return " + lines + ".length >= 2"));
  const int so_far = browser_->run("return " + lines + ".length");
  EXPECT_TRUE(browser_->wait("return " + lines + ".length >= " + std::to_string(so_far + 3)));
  expect_text("#d-logs", kHostile);
  EXPECT_EQ(browser_->run("return document.querySelectorAll('#d-logs img').length"), 0);
  EXPECT_EQ(browser_->run("return document.title.includes('owned')"), false);
  EXPECT_EQ(
      browser_->run("return document.getElementById('d-logs').textContent.includes('\\u202E')"),
      false)
      << "what turns a line round";

  browser_->type("#l-find", "number 2 ");
  EXPECT_TRUE(
      browser_->wait("return [..." + lines + "].filter((each) => !each.hidden).length === 1"));
  browser_->click("#l-times");
  EXPECT_TRUE(browser_->wait(
      "return document.querySelector('#d-logs div:not([hidden]) time').checkVisibility()"));
  browser_->click("#d-close");

  publish(2, {talker("web"), sleeper("later")});
  expect_text("#events", "later");
  expect_text("#rows .row[data-sign=ok]", "later");
  publish(3, {talker("web")});
  EXPECT_TRUE(browser_->wait("return document.querySelectorAll('#rows .row').length === 1"));
  // An address that somebody typed.
  browser_->run("location.hash = '#workload/%E0%'");
  expect_text("#detail #d-name", "%E0%");
  expect_text("#link", "Live");
}

TEST_F(DashboardTest, APullShowsHowFarItIs) {
  Registry registry;
  ImageOptions large;
  large.extra_layers = {20'000'000};
  registry.push(make_busybox_archive(files_ / "large.tar", "registry.local/large:1", large).path,
                "large:1");
  TcpRelay link(registry.port());
  link.slow_down(60'000);  // minutes
  const std::string image = "127.0.0.1:" + std::to_string(link.port()) + "/large:1";
  json pod = sleeper("large");
  pod["spec"]["containers"][0]["image"] = image;
  publish(1, {pod});
  open();
  expect_text("#rows .c-state", "Pulling");
  expect_text("#rows .c-why", "pulling " + image);
  EXPECT_TRUE(browser_->wait("return document.querySelector('#rows progress')?.value > 1"));
  expect_text("#pulls", image);
  expect_text("#pulls", " % of ");
  EXPECT_TRUE(browser_->wait("return document.querySelector('#pulls progress')?.value > 1"));
  link.slow_down(0);
  expect_text("#rows .c-state", "Running");
  EXPECT_TRUE(browser_->wait("return document.querySelectorAll('#pulls li').length === 0"));
  expect_text("#images", "used by large");
}

TEST_F(DashboardTest, ItSaysThatTheAgentIsAwayAndComesBackWithIt) {
  publish(1, {talker("web")});
  running("web");
  open();
  open_workload("web");
  EXPECT_TRUE(browser_->wait("return document.querySelectorAll('#d-logs > div').length > 3"));
  agent_->stop();
  expect_text("#link", "Away");
  EXPECT_TRUE(browser_->wait("return !document.getElementById('banner').hidden"));
  expect_text("#detail #banner", "does not answer");
  picture("away");
  agent_->start();
  expect_text("#link", "Live");
  EXPECT_TRUE(browser_->wait("return document.getElementById('banner').hidden"));

  // The log goes on where it broke off: what was printed meanwhile is there, and nothing twice.
  const std::string numbers =
      "[...document.querySelectorAll('#d-logs > div')].map((each) => "
      "Number(each.lastChild.data.split(' ')[1]))";
  const int newest = browser_->run("return Math.max(..." + numbers + ")");
  EXPECT_TRUE(
      browser_->wait("return Math.max(..." + numbers + ") > " + std::to_string(newest + 5)));
  const std::vector<int> seen = browser_->run("return " + numbers);
  for (size_t i = 1; i < seen.size(); ++i) EXPECT_EQ(seen[i], seen[i - 1] + 1);
  // So do the events.
  browser_->click("#d-close");
  publish(2, {talker("web"), sleeper("later")});
  expect_text("#events", "later");

  // A store that was replaced meanwhile counts its events from 1.
  for (int revision = 1; revision <= 60; ++revision) {
    write_text(files_ / "local.json", desired_document(revision, json::array()));
    ASSERT_EQ(agent_->cli({"apply", "-f", files_ / "local.json"}).exit_code, 0);
  }
  expect_text("#events", "revision 60 of local");
  agent_->stop();
  expect_text("#link", "Away");
  std::filesystem::remove_all(agent_->state_dir());
  agent_->start();
  expect_text("#link", "Live");
  publish(3, {talker("web"), sleeper("another")});
  expect_text("#events", "another");
}

TEST_F(DashboardTest, ItFitsAPhoneAndADeskByDayAndNight) {
  open();
  expect_text("#no-workloads", "No workload yet");
  picture("empty");
  // As long as names can be, without their images: their messages are long as well.
  std::vector<json> items{talker("web"), sleeper("calm")};
  for (int i = 0; i < 48; ++i) {
    const std::string name = "n" + std::to_string(i) + "-" + std::string(60 - (i > 9 ? 1 : 0), 'x');
    items.push_back(simple_pod(name,
                               "registry.invalid/" + std::string(80, 'y') + "/" +
                                   std::string(80, 'z') + "@sha256:" + std::string(64, 'a'),
                               {}));
  }
  for (size_t i = 2; i < items.size(); ++i) {
    items[i]["spec"]["containers"][0]["imagePullPolicy"] = "Never";
  }
  publish(1, items);
  running("web");
  EXPECT_TRUE(browser_->wait("return document.querySelectorAll('#rows .row').length === 50"));
  EXPECT_TRUE(browser_->wait(
      "return document.querySelectorAll('#rows .row[data-sign=bad]').length === 48"));
  expect_text("#chips", "All 50");
  expect_text("#chips", "Trouble 48");
  struct Look {
    const char* name;
    int width, height;
    bool dark, phone;
  };
  for (const Look& look :
       {Look{"desk-light", 1440, 900, false, false}, Look{"desk-dark", 1280, 800, true, false},
        Look{"tablet-light", 820, 1180, false, true}, Look{"phone-light", 360, 740, false, true},
        Look{"phone-dark", 360, 740, true, true}}) {
    browser_->look(look.width, look.height, look.dark, look.phone);
    browser_->run("scrollTo(0, 0)");
    expect_sound(look.name);
    picture(look.name);
    browser_->run("location.hash = '#workload/n11-' + 'x'.repeat(59)");
    ASSERT_TRUE(browser_->wait(is_open("detail")));
    expect_text("#d-why", "ErrImageNeverPull");
    expect_sound(std::string(look.name) + ", a workload in trouble");
    picture(std::string(look.name) + "-trouble");
    browser_->click("#d-close");
    open_workload("web");
    EXPECT_TRUE(browser_->wait("return document.querySelectorAll('#d-logs > div').length > 2"));
    expect_sound(std::string(look.name) + ", a workload");
    picture(std::string(look.name) + "-workload");
    browser_->click("#d-close");
  }
}

TEST_F(DashboardTest, ItIsUsedByKeyboardAlone) {
  publish(1, {talker("web"), sleeper("calm")});
  running("web");
  open();
  EXPECT_TRUE(browser_->wait("return document.querySelectorAll('#rows .row').length === 2"));
  browser_->run("document.activeElement.blur()");
  // Every stop shows where it is.
  std::set<std::string> stops;
  for (int i = 0; i < 12; ++i) {
    browser_->press("\uE004");  // Tab
    EXPECT_EQ(browser_->run("return getComputedStyle(document.activeElement).outlineStyle"),
              "solid")
        << browser_->run("return document.activeElement.outerHTML.slice(0, 100)");
    stops.insert(
        browser_->run("return document.activeElement.textContent || document.activeElement.id"));
  }
  for (const char* stop : {"Skip to the workloads", "find", "web", "calm", "Warnings"}) {
    EXPECT_TRUE(stops.contains(stop)) << stop;
  }
  browser_->press("/");
  EXPECT_EQ(browser_->run("return document.activeElement.id"), "find");
  browser_->press("we");
  EXPECT_TRUE(browser_->wait("return document.querySelectorAll('#rows .row').length === 1"));
  browser_->press("\uE004");
  browser_->press("\uE007");
  ASSERT_TRUE(browser_->wait(is_open("detail")));
  EXPECT_EQ(text_of("#d-name"), "web");
  browser_->press("\uE00C");
  ASSERT_TRUE(browser_->wait("return !document.getElementById('detail').open"));
  EXPECT_EQ(browser_->run("return document.activeElement.textContent"), "web");
}

}  // namespace
}  // namespace wherry::test
