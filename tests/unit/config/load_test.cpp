#include <unistd.h>

#include <gmock/gmock.h>

#include "tests/unit/config/config_files.h"

namespace wherry {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

using LoadConfig = ConfigFiles;

Config defaults_with_id(const std::string& id) {
  Config config;
  config.device.id = id;
  config.mqtt.client_id = id;
  return config;
}

TEST_F(LoadConfig, AnEmptyFileMeansDefaults) {
  for (const char* text : {"", "# only a comment\n", "---\n", "{}", "mqtt:\n  # nothing\n"}) {
    const ConfigResult result = load_text(text, {"device.id=pump-7"});
    EXPECT_THAT(errors(result), IsEmpty()) << text;
    EXPECT_EQ(result.config, defaults_with_id("pump-7")) << text;
  }
}

TEST_F(LoadConfig, ReadsEveryKindOfValue) {
  const ConfigResult result = load_text(R"(
device: {id: pump-7, groups: [pumps, north], labels: {site: north, example.org/line: "4"}}
mqtt:
  brokers:
    - mqtt://broker.example:1884
    - mqtt://[fd00::1]:1883
    - mqtts://10.0.0.1:9001
  version: 3.1.1
  topic_prefix: a/b
  client_id: other
  username: u
  password_file: /etc/wherry/password
  keepalive: 5s
  session_expiry: 0s
  reconnect: {min: 100ms, max: 1m}
containerd: {address: /c.sock, namespace: test-1, snapshotter: native, runtime: /usr/bin/shim}
images: {hosts_dir: /h, preload_dir: /p, max_parallel_downloads: 16}
network: {cni_bin_dir: /b, cni_conf_dir: /n, bridge_subnet: 10.1.2.0/24}
storage: {state_dir: /s, run_dir: /r}
manifests: {dir: /m}
telemetry: {logs: {max_bytes: 1Mi}}
api: {socket: /a.sock, listen: "127.0.0.1:7070", token_file: /t}
log: {level: debug, format: journald}
)");
  ASSERT_THAT(errors(result), IsEmpty());
  Config expected;
  expected.device = {"pump-7", {"pumps", "north"}, {{"site", "north"}, {"example.org/line", "4"}}};
  expected.mqtt.brokers = {"mqtt://broker.example:1884", "mqtt://[fd00::1]:1883",
                           "mqtts://10.0.0.1:9001"};
  expected.mqtt.version = 4;
  expected.mqtt.topic_prefix = "a/b";
  expected.mqtt.client_id = "other";
  expected.mqtt.username = "u";
  expected.mqtt.password_file = "/etc/wherry/password";
  expected.mqtt.keepalive = 5s;
  expected.mqtt.session_expiry = 0s;
  expected.mqtt.reconnect_min = 100ms;
  expected.mqtt.reconnect_max = 1min;
  expected.containerd = {"/c.sock", "test-1", "native", "/usr/bin/shim", {}};
  expected.images.hosts_dir = "/h";
  expected.images.preload_dir = "/p";
  expected.images.max_parallel_downloads = 16;
  expected.network = {"/b", "/n", "10.1.2.0/24"};
  expected.storage.state_dir = "/s";
  expected.storage.run_dir = "/r";
  expected.manifests.dir = "/m";
  expected.telemetry.logs_max_bytes = 1 << 20;
  expected.api = {"/a.sock", "127.0.0.1:7070", "/t"};
  expected.log = {LogLevel::Debug, "journald"};
  EXPECT_EQ(result.config, expected);
}

TEST_F(LoadConfig, DropInsFollowInNameOrderAndMergeMaps) {
  write("wherry.d/20-last.yaml", "log: {level: error}\ndevice: {labels: {b: last, c: last}}\n");
  write(
      "wherry.d/10-first.yaml",
      "log: {level: warn, format: text}\ndevice: {groups: [one], labels: {a: first, b: first}}\n");
  write("wherry.d/.hidden.yaml", "nonsense: true\n");
  write("wherry.d/30-old.yaml.dpkg-old", "nonsense: true\n");
  ASSERT_TRUE(make_directories(path("wherry.d/directory.yaml")));
  const ConfigResult result =
      load_text("device: {groups: [main, other], labels: {a: main}}\nlog: {level: debug}\n");
  ASSERT_THAT(errors(result), IsEmpty());
  EXPECT_EQ(result.config.log.level, LogLevel::Error);
  EXPECT_EQ(result.config.log.format, "text") << "other keys of the section are kept";
  EXPECT_THAT(result.config.device.groups, ElementsAre("one")) << "a list is replaced whole";
  EXPECT_THAT(result.config.device.labels,
              ElementsAre(Pair("a", "first"), Pair("b", "last"), Pair("c", "last")));
}

TEST_F(LoadConfig, DropInErrorsNameTheDropIn) {
  write("wherry.d/10-a.yaml", "log:\n  levle: warn\n");
  write("wherry.d/20-b.yml", "log: {level: warn}\n");
  ASSERT_EQ(symlink("/nowhere", path("wherry.d/30-c.yaml").c_str()), 0);
  EXPECT_THAT(errors(load_text("{}")),
              UnorderedElementsAre(
                  "wherry.d/10-a.yaml:2: log.levle is not a known key; did you mean log.level?",
                  "wherry.d/20-b.yml: is not read; rename it to end in .yaml",
                  HasSubstr("30-c.yaml: No such file or directory")));
}

TEST_F(LoadConfig, AMissingFileIsAnErrorUnlessAllowed) {
  EXPECT_THAT(errors(load()), ElementsAre(HasSubstr("No such file")));
  write("wherry.d/10-a.yaml", "log: {level: warn}\n");
  const ConfigResult result = load_config(path("wherry.yaml"), {}, true, path("machine-id"));
  EXPECT_THAT(errors(result), IsEmpty());
  EXPECT_EQ(result.config.log.level, LogLevel::Warn) << "drop-ins hold without the file";
}

TEST_F(LoadConfig, ADirectoryOrAHugeFileIsRefused) {
  ASSERT_TRUE(make_directories(path("wherry.yaml")));
  EXPECT_EQ(errors(load()).size(), 1u);
  ASSERT_EQ(rmdir(path("wherry.yaml").c_str()), 0);
  EXPECT_THAT(error_of(std::string(2 << 20, '#')), HasSubstr("larger than"));
}

TEST_F(LoadConfig, SetsComeLastInOrderAndMayBeFlowValues) {
  const ConfigResult result =
      load_text("log: {level: debug}\ndevice: {labels: {a: file}}\n",
                {"log.level=warn", "log.level=error", "device.groups=[a, b]", "mqtt.username=",
                 "mqtt.reconnect={min: 2s, max: 3s}", "device.labels.example.org/site=north",
                 "device.labels={b: \"2\"}", "mqtt.brokers=[mqtt://h:1]", "mqtt.version=3.1.1"});
  ASSERT_THAT(errors(result), IsEmpty());
  EXPECT_EQ(result.config.log.level, LogLevel::Error);
  EXPECT_THAT(result.config.device.groups, ElementsAre("a", "b"));
  EXPECT_THAT(result.config.device.labels,
              ElementsAre(Pair("a", "file"), Pair("b", "2"), Pair("example.org/site", "north")));
  EXPECT_THAT(result.config.mqtt.brokers, ElementsAre("mqtt://h:1"));
  EXPECT_EQ(result.config.mqtt.reconnect_min, 2s);
  EXPECT_EQ(result.config.mqtt.version, 4);
}

TEST_F(LoadConfig, BadSetsSayWhatIsWrong) {
  EXPECT_EQ(set_error("log.level"), "--set: \"log.level\" must be written as key.path=value");
  EXPECT_EQ(set_error("=x"), "--set: \"=x\" must be written as key.path=value");
  EXPECT_EQ(set_error("log.levl=info"),
            "--set: log.levl is not a known key; did you mean log.level?");
  EXPECT_EQ(set_error("mqtt.reconnect.mni=1s"),
            "--set: mqtt.reconnect.mni is not a known key; did you mean mqtt.reconnect.min?");
  EXPECT_THAT(set_error("log.level.x=1"), HasSubstr("log.level.x is not a known key"));
  EXPECT_THAT(set_error("device.groups=[a"), HasSubstr("--set: device.groups: the value is not"));
  EXPECT_THAT(set_error("log=info"), HasSubstr("--set: log must be a map"));
  EXPECT_THAT(set_error("log.level=loud"), HasSubstr("--set: log.level: \"loud\" must be debug"));
  EXPECT_THAT(set_error("device.labels.a={b: c}"),
              HasSubstr("--set: device.labels.a must be a single value"));
  EXPECT_THAT(set_error(".=1"), HasSubstr("not a known key"));
  EXPECT_THAT(set_error("device.labels.=x"), HasSubstr("not a known key"));
}

TEST_F(LoadConfig, UnknownKeysNameTheNearestKnownOne) {
  EXPECT_EQ(error_of("mqtt:\n  keepalive: 5s\n  broker: x\n"),
            "wherry.yaml:3: mqtt.broker is not a known key; did you mean mqtt.brokers?");
  EXPECT_EQ(error_of("mqqt: {}\n"), "wherry.yaml:1: mqqt is not a known key; did you mean mqtt?");
  EXPECT_EQ(error_of("\nbrokers: []\n"),
            "wherry.yaml:2: brokers is not a known key; did you mean mqtt.brokers?");
  EXPECT_EQ(
      error_of("storage: {gc: 5}\n"),
      "wherry.yaml:1: storage.gc is not a known key; known here: state_dir, run_dir, reserve");
  EXPECT_EQ(
      error_of("mqtt.keepalive: 5s\n"),
      "wherry.yaml:1: mqtt.keepalive is not a known key; write each part on a level of its own");
}

TEST_F(LoadConfig, WrongShapesAreToldWithTheirPlace) {
  EXPECT_THAT(error_of("- a\n"), HasSubstr("wherry.yaml:1: the configuration must be a map"));
  EXPECT_THAT(error_of("mqtt: 5\n"), HasSubstr("wherry.yaml:1: mqtt must be a map of keys"));
  EXPECT_THAT(error_of("mqtt:\n  keepalive: [5s]\n"),
              HasSubstr("wherry.yaml:2: mqtt.keepalive must be a single value, not"));
  EXPECT_EQ(error_of("mqtt:\n  brokers: mqtt://h\n"),
            "wherry.yaml:2: mqtt.brokers must be a list; write [mqtt://h]");
  EXPECT_THAT(error_of("device:\n  labels: [a]\n"),
              HasSubstr("wherry.yaml:2: device.labels must be a map"));
  EXPECT_THAT(error_of("log:\n  level:\n"), HasSubstr("wherry.yaml:2: log.level has no value"));
  EXPECT_THAT(error_of("device: {groups: [a, ~]}\n"), HasSubstr("device.groups has no value"));
  EXPECT_THAT(error_of("log: {[a]: 1}\n"), HasSubstr("a key in log must be a plain word"));
}

TEST_F(LoadConfig, TheLineOfAListElementIsItsOwn) {
  EXPECT_THAT(error_of("mqtt:\n  brokers:\n    - mqtt://a\n    - http://b\n"),
              HasSubstr("wherry.yaml:4: mqtt.brokers: \"http://b\" must begin with mqtt://"));
}

TEST_F(LoadConfig, KeysSetTwiceAreErrors) {
  EXPECT_EQ(error_of("log:\n  level: info\n  format: text\n  level: warn\n"),
            "wherry.yaml:4: log.level is set twice, first in line 2");
  EXPECT_EQ(error_of("log: {}\nlog: {}\n"), "wherry.yaml:2: log is set twice, first in line 1");
  EXPECT_EQ(error_of("device:\n  labels:\n    a: b\n    a: c\n"),
            "wherry.yaml:4: device.labels.a is set twice, first in line 3");
}

TEST_F(LoadConfig, WhatIsNotYamlIsToldWithItsLine) {
  EXPECT_THAT(error_of("log:\n  level: [\n"), HasSubstr("wherry.yaml:3: is not YAML"));
  EXPECT_THAT(error_of("a: b: c\n"), HasSubstr("wherry.yaml:1: is not YAML"));
  EXPECT_THAT(error_of("log: {}\n---\nlog: {}\n"), HasSubstr("more than one YAML document"));
  EXPECT_THAT(error_of(std::string(100'000, '[')), HasSubstr("is not YAML"));
  EXPECT_THAT(error_of("log: *nothing\n"), HasSubstr("is not YAML"));
  const std::string alias = error_of("api:\n  token_file: *hunter2\n");
  EXPECT_THAT(alias, HasSubstr("wherry.yaml:2: is not YAML"));
  EXPECT_THAT(alias, HasSubstr("begins with * must be quoted"));
  EXPECT_THAT(alias, Not(HasSubstr("hunter2")));
  EXPECT_THAT(error_of("{}", {"api.token_file=*hunter2"}), Not(HasSubstr("hunter2")));
}

TEST_F(LoadConfig, AllErrorsAreToldAtOnce) {
  EXPECT_EQ(errors(load_text("log: {level: x, format: y}\nfoo: 1\n", {"bar=2"})).size(), 4u);
}

TEST_F(LoadConfig, ContradictionsAreBlamedOnWhoSetThem) {
  EXPECT_EQ(error_of("mqtt:\n  reconnect:\n    min: 6m\n"),
            "wherry.yaml:3: mqtt.reconnect.min is 6m, above mqtt.reconnect.max, which is 5m");
  EXPECT_THAT(error_of("mqtt: {password_file: /p}\n"), HasSubstr("needs mqtt.username"));
  EXPECT_THAT(error_of("api:\n  listen: 127.0.0.1:80\n"),
              HasSubstr("wherry.yaml:2: api.listen needs api.token_file"));
  EXPECT_THAT(error_of("{}", {"storage.run_dir=/var/lib/wherry"}),
              HasSubstr("--set: storage.run_dir must not be storage.state_dir"));
}

TEST_F(LoadConfig, DeviceIdComesFromTheMachineIdButDoesNotShowIt) {
  // systemd-id128 machine-id --app-specific=6a5b1bc507b048a185ad4bb73c0ed320
  const ConfigResult result = load_text("{}");
  EXPECT_THAT(errors(result), IsEmpty());
  EXPECT_EQ(result.config.device.id, "5e4eea397c274b85b5912ad1c6666703");
  EXPECT_EQ(result.config.mqtt.client_id, result.config.device.id);
  EXPECT_EQ(load_text("device: {id: own}").config.device.id, "own");
}

TEST_F(LoadConfig, WithoutMachineIdTheDeviceIdMustBeSet) {
  for (const char* text : {"", "uninitialized\n", "00000000000000000000000000000000\n",
                           "0123456789abcdef0123456789abcdeg\n", "0123456789abcdef\n"}) {
    write("machine-id", text);
    EXPECT_THAT(error_of("{}"), HasSubstr("device.id is not set")) << text;
  }
  ASSERT_EQ(unlink(path("machine-id").c_str()), 0);
  EXPECT_THAT(error_of("{}"), HasSubstr("device.id is not set and cannot be derived"));
  EXPECT_THAT(errors(load_text("device: {id: own}")), IsEmpty());
}

TEST_F(LoadConfig, ChangesTellWhatARestartIsNeededFor) {
  const Config before = load_text("log: {level: info}").config;
  EXPECT_TRUE(config_changes(before, before).empty());
  const Config after = load_text("log: {level: debug}\nmqtt: {keepalive: 5s}").config;
  const std::vector<ConfigChange> changes = config_changes(before, after);
  ASSERT_EQ(changes.size(), 2u);
  EXPECT_EQ(changes[0].key, "mqtt.keepalive");
  EXPECT_TRUE(changes[0].needs_restart);
  EXPECT_EQ(changes[1].key, "log.level");
  EXPECT_FALSE(changes[1].needs_restart);
}

}  // namespace
}  // namespace wherry
