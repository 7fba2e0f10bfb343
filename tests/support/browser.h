#pragma once
// Debian's Chromium without a screen, driven by chromedriver (W3C WebDriver, and DevTools commands
// where that has none). Each has a profile of its own and nothing outside of this machine to talk
// to.

#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace wherry::test {

class Browser {
 public:
  Browser();  // make it on the main thread; throws when it does not start
  ~Browser();
  Browser(const Browser&) = delete;
  Browser& operator=(const Browser&) = delete;

  void open(const std::string& url);
  void reload(bool anew = false);  // anew: with an empty cache
  // CSS pixels; a phone has a coarse pointer and two dots a pixel.
  void look(int width, int height, bool dark, bool phone = false);
  // The value of the function body `script`; throws with the browser's words where it fails.
  nlohmann::json run(const std::string& script);
  // Until `script` gives something that counts as true in JavaScript; false at the deadline.
  [[nodiscard]] bool wait(const std::string& script, Millis timeout = kPatience);

  // As a person does: scrolls there, and fails where something lies above it.
  void click(const std::string& css);
  void type(const std::string& css, const std::string& text);
  // To what has the focus; keys are U+E000 and following: "\uE004" is Tab.
  void press(const std::string& keys);

  // What pages told the console since the last call: {"level","message","source"}.
  std::vector<nlohmann::json> log();
  void screenshot(const std::string& path);  // PNG of what is seen

 private:
  nlohmann::json ask(const char* method, const std::string& path,
                     const nlohmann::json& body = nlohmann::json::object());
  std::string element(const std::string& css);
  void devtools(const std::string& command, const nlohmann::json& parameters);

  TempDir profile_;
  std::unique_ptr<Process> driver_;
  int port_ = 0;
  std::string session_;
};

}  // namespace wherry::test
