// The table of keys, docs/configuration.md and configs/wherry.yaml say the same.
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include <gmock/gmock.h>

#include "agent/config/keys.h"
#include "tests/unit/config/config_files.h"

namespace wherry {
namespace {

using ::testing::IsEmpty;

std::string repository_file(const std::string& name) {
  const Result<std::string> text = read_file(std::string(WHERRY_SOURCE_DIR) + "/" + name);
  EXPECT_TRUE(text) << name;
  return text ? *text : "";
}

std::string_view word(config::Applies applies) {
  switch (applies) {
    case config::Applies::Restart:
      return "start";
    case config::Applies::Reload:
      return "reload";
  }
  return "";
}

struct Row {
  std::string form;
  std::string standard;
  std::string applies;
};

// Rows "| `key` | form | `default` | applies | meaning |".
std::map<std::string, Row> documented_keys() {
  std::map<std::string, Row> rows;
  std::istringstream text(repository_file("docs/configuration.md"));
  const std::regex pattern(R"(^\| `([a-z_.]+)` \| ([^|]+) \| `([^`]*)` \| ([^|]+) \| [^|]+ \|$)");
  std::smatch found;
  for (std::string line; std::getline(text, line);) {
    if (!line.starts_with("| `")) continue;
    EXPECT_TRUE(std::regex_match(line, found, pattern)) << line;
    if (found.empty()) continue;
    EXPECT_TRUE(rows.emplace(found[1], Row{found[2], found[3], found[4]}).second) << found[1];
  }
  return rows;
}

using ConfigDrift = ConfigFiles;

TEST_F(ConfigDrift, DocumentationHasEveryKeyAndNoOther) {
  std::map<std::string, Row> rows = documented_keys();
  for (const config::Key& key : config::keys()) {
    const auto row = rows.find(std::string(key.path));
    ASSERT_NE(row, rows.end()) << key.path << " is not in docs/configuration.md";
    EXPECT_EQ(row->second.form, key.form->name) << key.path;
    EXPECT_EQ(row->second.applies, word(key.applies)) << key.path;
    const ConfigResult result =
        load_text("device: {id: x}", {std::string(key.path) + "=" + row->second.standard});
    EXPECT_THAT(errors(result), IsEmpty()) << key.path;
    if (key.path != "device.id" && key.path != "mqtt.client_id") {
      EXPECT_EQ(key.show(result.config), key.show(Config{})) << key.path;
    }
    rows.erase(row);
  }
  for (const auto& [key, row] : rows) ADD_FAILURE() << key << " is documented but not known";
}

TEST_F(ConfigDrift, TheSampleLoadsAsItIs) {
  const ConfigResult result = load_text(repository_file("configs/wherry.yaml"), {"device.id=x"});
  EXPECT_THAT(errors(result), IsEmpty());
}

TEST_F(ConfigDrift, TheSampleUncommentedIsTheDefaults) {
  const std::regex setting(R"((^|\n)( *)#(?=[^ #\n]))");
  const std::string all =
      std::regex_replace(repository_file("configs/wherry.yaml"), setting, "$1$2");
  const ConfigResult result = load_text(all);
  ASSERT_THAT(errors(result), IsEmpty());
  Config expected;
  expected.device.id = result.config.device.id;
  expected.mqtt.client_id = expected.device.id;
  EXPECT_EQ(result.config, expected);
}

TEST_F(ConfigDrift, TheSampleHasEveryKey) {
  // Each key's last name stands in the sample as often as the table has it.
  const std::string sample = repository_file("configs/wherry.yaml");
  std::multiset<std::string> in_table, in_sample;
  for (const config::Key& key : config::keys()) {
    in_table.emplace(key.path.substr(key.path.rfind('.') + 1));
  }
  const std::regex setting(R"(\n *#([a-z_]+):)");
  for (std::sregex_iterator at(sample.begin(), sample.end(), setting), end; at != end; ++at) {
    in_sample.insert((*at)[1]);
  }
  EXPECT_EQ(in_sample, in_table);
}

// Its text is that of docs/configuration.md, which scripts/lint.sh looks after.
TEST_F(ConfigDrift, TheManualPageHasEveryKeyAndNoOther) {
  std::set<std::string_view> in_table;
  for (const config::Key& key : config::keys()) in_table.insert(key.path);
  const std::string page = repository_file("man/wherry.yaml.5");
  std::set<std::string_view> in_page;
  constexpr std::string_view kItem = "\n.It Va ";
  for (size_t at = page.find(kItem); at != std::string::npos; at = page.find(kItem, at + 1)) {
    const size_t begin = at + kItem.size();
    in_page.insert(std::string_view(page).substr(begin, page.find('\n', begin) - begin));
  }
  EXPECT_EQ(in_page, in_table);
}

// Every key of the table does what it says: there is none that waits for a later version.
TEST_F(ConfigDrift, NoKeyIsCalledUnsupported) {
  for (const char* file : {"configs/wherry.yaml", "man/wherry.yaml.5", "docs/configuration.md"}) {
    const std::string text = repository_file(file);
    for (const char* word : {"not supported", "not yet"}) {
      EXPECT_EQ(text.find(word), std::string::npos) << file << " says " << word;
    }
  }
}

TEST_F(ConfigDrift, EveryDefaultIsShownAsItIsRead) {
  for (const config::Key& key : config::keys()) {
    if (key.path == "device.id" || key.path == "mqtt.client_id") continue;
    const ConfigResult result = load_text("{}", {std::string(key.path) + "=" + key.show(Config{})});
    EXPECT_THAT(errors(result), IsEmpty()) << key.path;
    EXPECT_EQ(key.show(result.config), key.show(Config{})) << key.path;
  }
}

}  // namespace
}  // namespace wherry
