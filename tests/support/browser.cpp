#include "tests/support/browser.h"

#include <cstdlib>
#include <stdexcept>

#include <httplib.h>

#include "base/base64.h"
#include "tests/support/net.h"

namespace wherry::test {
namespace {

using nlohmann::json;

// Of WebDriver, section 6: the name of an element's reference.
constexpr const char* kElement = "element-6066-11e4-a52e-4f735466cecf";

json capabilities(const std::string& profile) {
  const json arguments = {"--headless",
                          "--no-sandbox",  // it refuses root otherwise
                          "--disable-gpu",
                          "--disable-quic",
                          "--disable-dev-shm-usage",
                          "--no-first-run",
                          "--disable-background-networking",
                          "--disable-component-update",
                          "--disable-sync",
                          "--window-size=1440,900",
                          "--user-data-dir=" + profile};
  return {{"capabilities",
           {{"alwaysMatch",
             {{"browserName", "chrome"},
              {"goog:chromeOptions", {{"binary", "/usr/bin/chromium"}, {"args", arguments}}},
              {"goog:loggingPrefs", {{"browser", "ALL"}}}}}}}};
}

}  // namespace

Browser::Browser() {
  port_ = free_port();
  ProcessOptions options;
  options.argv = {"chromedriver", "--port=" + std::to_string(port_), "--log-level=SEVERE"};
  options.env = {{"HOME", profile_.path()}, {"TMPDIR", profile_.path()}};
  options.output_path = profile_ / "chromedriver.log";
  driver_ = std::make_unique<Process>(std::move(options));
  if (!wait_until([this] { return accepts_tcp(port_); })) {
    throw std::runtime_error("chromedriver does not start: " + driver_->output());
  }
  session_ = ask("POST", "/session", capabilities(profile_ / "profile"))["sessionId"];
}

Browser::~Browser() {
  try {
    ask("DELETE", "/session/" + session_);
  } catch (const std::exception&) {
    // It has gone already.
  }
  driver_->terminate();
}

json Browser::ask(const char* method, const std::string& path, const json& body) {
  httplib::Client client("127.0.0.1", port_);
  client.set_read_timeout(std::chrono::seconds(60));
  const std::string verb = method;
  const std::string text = body.dump();
  const httplib::Result answer = verb == "GET"      ? client.Get(path)
                                 : verb == "DELETE" ? client.Delete(path)
                                                    : client.Post(path, text, "application/json");
  if (!answer) throw std::runtime_error("chromedriver does not answer " + path);
  const json value = json::parse(answer->body, nullptr, false).value("value", json());
  if (answer->status != 200) {
    throw std::runtime_error("browser: " + path + ": " +
                             (value.is_object() ? value.value("message", "") : answer->body));
  }
  return value;
}

void Browser::open(const std::string& url) {
  ask("POST", "/session/" + session_ + "/url", {{"url", url}});
}

void Browser::reload(bool anew) {
  if (anew) devtools("Network.clearBrowserCache", json::object());
  ask("POST", "/session/" + session_ + "/refresh");
}

void Browser::devtools(const std::string& command, const json& parameters) {
  ask("POST", "/session/" + session_ + "/goog/cdp/execute",
      {{"cmd", command}, {"params", parameters}});
}

void Browser::look(int width, int height, bool dark, bool phone) {
  devtools("Emulation.setDeviceMetricsOverride", {{"width", width},
                                                  {"height", height},
                                                  {"deviceScaleFactor", phone ? 2 : 1},
                                                  {"mobile", phone}});
  devtools("Emulation.setTouchEmulationEnabled", {{"enabled", phone}});
  const json scheme = {{"name", "prefers-color-scheme"}, {"value", dark ? "dark" : "light"}};
  devtools("Emulation.setEmulatedMedia", {{"features", json::array({scheme})}});
}

json Browser::run(const std::string& script) {
  return ask("POST", "/session/" + session_ + "/execute/sync",
             {{"script", script}, {"args", json::array()}});
}

bool Browser::wait(const std::string& script, Millis timeout) {
  const std::string truth = "return Boolean((() => {" + script + "})())";
  return wait_until([&] { return run(truth) == true; }, timeout);
}

std::string Browser::element(const std::string& css) {
  return ask("POST", "/session/" + session_ + "/element",
             {{"using", "css selector"}, {"value", css}})[kElement];
}

void Browser::click(const std::string& css) {
  ask("POST", "/session/" + session_ + "/element/" + element(css) + "/click");
}

void Browser::type(const std::string& css, const std::string& text) {
  ask("POST", "/session/" + session_ + "/element/" + element(css) + "/value", {{"text", text}});
}

void Browser::press(const std::string& keys) {
  const json active = ask("GET", "/session/" + session_ + "/element/active");
  ask("POST", "/session/" + session_ + "/element/" + active[kElement].get<std::string>() + "/value",
      {{"text", keys}});
}

std::vector<json> Browser::log() {
  std::vector<json> all = ask("POST", "/session/" + session_ + "/se/log", {{"type", "browser"}});
  std::erase_if(all, [](const json& entry) {
    return entry.value("message", "").starts_with("chrome://");  // the browser's own pages
  });
  return all;
}

void Browser::screenshot(const std::string& path) {
  const auto png =
      base64_decode(ask("GET", "/session/" + session_ + "/screenshot").get<std::string>());
  if (!png) throw std::runtime_error("the screenshot is no base64");
  write_text(path, *png);
}

}  // namespace wherry::test
