// Every form of value: what is taken and what is refused.
#include <gmock/gmock.h>

#include "agent/config/keys.h"
#include "tests/unit/config/config_files.h"

namespace wherry {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct ValueCase {
  std::string key;
  std::vector<std::string> good;
  std::vector<std::string> bad;
};

std::vector<ValueCase> cases() {
  const std::string long_name(64, 'a');
  return {
      {"device.id",
       {"a", "pump-7", "7", "A.b_c-", long_name, "\"\""},
       {"-a", ".a", "a b", "a/b", "a#", "ä", long_name + "a", "\"a\\n\"", "[a]"}},
      {"device.groups", {"[]", "[a]", "[a, b.c]"}, {"a", "[a, a]", "[\"\"]", "[a/b]", "[[a]]"}},
      {"device.labels",
       {"{}", "{a: b}", "{a.b/c_d: \"\"}", "{a: 1}"},
       {"{a: -b}", "{-a: b}", "{a/b/c: d}", "{a: b c}", "{kubernetes.io/os: linux}", "[a]",
        "{a: [b]}", "{/a: b}", "{a/: b}"}},
      {"mqtt.brokers",
       {"[]", "[mqtt://h]", "[mqtt://h:1883, mqtt://h:1884]", "[\"mqtt://[::1]:1\"]", "[mqtts://h]",
        "[mqtts://h:443]", "[ws://h/mqtt]", "[wss://h]", "[\"ws://[::1]:9001/a.b/c-d\"]"},
       {"[h]", "[tcp://h]", "[ws://]", "[\"ws://h/a b\"]", "[ws://h/a?b=c]", "[mqtt://]",
        "[mqtt://h:0]", "[mqtt://h:65536]", "[mqtt://h:x]", "[mqtt://h:]", "[mqtt://h/path]",
        "[mqtt://u:p@h]", "[\"mqtt://[::1\"]", "[\"mqtt://[h]:1\"]", "[\"mqtt://::1\"]",
        "[mqtts://h/a?b]", "[\"mqtt://a b\"]", "[mqtt://h, mqtt://h]"}},
      {"mqtt.version", {"5", "3.1.1"}, {"4", "3", "3.1", "5.0", "v5"}},
      {"mqtt.topic_prefix",
       {"a", "a/b/c"},
       {"\"\"", "/a", "a/", "a//b", "a/+", "\"#\"", "$SYS", "\"a\\0b\""}},
      {"mqtt.client_id", {"\"\"", "x y"}, {"\"\\x01\"", std::string(1025, 'x')}},
      {"mqtt.password_file", {"\"\""}, {"relative", "~/x", "./x"}},
      {"mqtt.alpn",
       {"\"\"", "mqtt", "x-amzn-mqtt-ca"},
       {"a b", "\"\\x01\"", std::string(256, 'x')}},
      {"mqtt.key_file",
       {"\"\""},
       {"key.pem", "\"pkcs11:\"", "\"pkcs11:token=a;object=b?pin-value=1\"",
        "\"pkcs11:token=a?module-path=/x.so\"", "\"pkcs11:token=a?pin-source=file:pin\"",
        "\"pkcs11:?pin-source=file:/pin\""}},
      {"mqtt.keepalive",
       {"5s", "65535s", "5m"},
       {"0s", "4s", "65536s", "500ms", "1500ms", "5", "-1s"}},
      {"mqtt.session_expiry", {"0s", "7d", "100d"}, {"1ms", "4294967295s", "forever"}},
      {"mqtt.reconnect.min", {"10ms", "5m"}, {"0", "9ms", "2d", "x"}},
      {"containerd.address", {"/a"}, {"\"\"", "a", "unix:///a", "/" + std::string(107, 'a')}},
      {"containerd.namespace",
       {"a", "a-b.c_d", "0"},
       {"\"\"", "a--b", "-a", "a-", "a/b", std::string(77, 'a')}},
      {"containerd.runtime", {"io.containerd.kata.v2", "/usr/bin/shim"}, {"", "a b", "./shim"}},
      {"containerd.cdi_spec_dirs", {"[]", "[/a, /b]"}, {"/a", "[a]", "[/a, /a]"}},
      {"devices",
       {"{}", "{a.b/c: {paths: [/dev/x*, /dev/y]}}",
        "{a.b/c: {cdi: [v.com/gpu, v.com/gpu=0], shared: 1000}}",
        "{a.b/c: {paths: [/dev/x], permissions: rw, container_path: /dev/cam}, d/e: {cdi: [a/b]}}"},
       {"[]",
        "x",
        "{a.b/c: x}",
        "{a.b/c: {}}",
        "{a.b/c: {paths: []}}",
        "{c: {paths: [/a]}}",
        "{kubernetes.io/c: {paths: [/a]}}",
        "{a/b/c: {paths: [/a]}}",
        "{a/b: {paths: /a}}",
        "{a/b: {paths: [a]}}",
        "{a/b: {paths: [/a, /a]}}",
        "{a/b: {paths: [[/a]]}}",
        "{a/b: {cdi: [gpu]}}",
        "{a/b: {cdi: [v.com/gpu=]}}",
        "{a/b: {paths: [/a], cdi: [v/g]}}",
        "{a/b: {paths: [/a], shared: 0}}",
        "{a/b: {paths: [/a], shared: 1001}}",
        "{a/b: {paths: [/a], shared: [1]}}",
        "{a/b: {paths: [/a], permissions: \"\"}}",
        "{a/b: {paths: [/a], permissions: rr}}",
        "{a/b: {paths: [/a], permissions: rx}}",
        "{a/b: {paths: [/a], container_path: dev}}",
        "{a/b: {cdi: [v/g], container_path: /a}}",
        "{a/b: {path: [/a]}}"}},
      {"images.max_parallel_downloads", {"1", "16"}, {"0", "17", "1.5", "x", "99999999999", "1x"}},
      {"network.cni_bin_dir", {"/a"}, {"\"\"", "a", "\"/a\\nb\""}},
      {"network.bridge_subnet",
       {"10.0.0.0/8", "192.168.7.0/24", "10.1.2.8/29"},
       {"10.0.0.0", "10.0.0.0/7", "10.0.0.0/30", "10.89.0.1/16", "10.0.0/8", "x/8", "10.0.0.0/",
        "10.0.0.0/8x", "10.0.0.0/-8", "\"fd00::/64\""}},
      {"telemetry.interval", {"0s", "1s", "60s", "1d"}, {"999ms", "2d", "60", "-1s", "off"}},
      {"telemetry.gather", {"0s", "10m", "1d"}, {"2d", "x", "-1s"}},
      {"telemetry.node",
       {"[]", "[cpu]", "[cpu, throttling]"},
       {"cpu", "[cpus]", "[cpu, cpu]", "[io]"}},
      {"telemetry.containers", {"[]", "[io, oom]"}, {"all", "[disk]", "[uptime]", "[[cpu]]"}},
      {"telemetry.logs.max_bytes", {"64Ki", "10Mi", "65536"}, {"0", "63Ki", "-1", "10MB", "x"}},
      {"api.socket", {"/a"}, {"\"\"", "/" + std::string(107, 'a')}},
      {"api.listen",
       {"\"\""},
       {"7070", "\":7070\"", "host:7070", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:65536",
        "\"::1:7070\"", "\"[::1]\""}},
      {"log.level", {"debug", "info", "warn", "error", "off"}, {"trace", "INFO", "\"\"", "1"}},
      {"log.format", {"auto", "text", "journald"}, {"json", "\"\""}},
      {"security.require_signature", {"false"}, {"no", "False", "0", "\"\""}},
      {"images.gc.high", {"85%"}, {"85", "0.85", "101%", "-1%", "%", "x%"}},
      {"storage.reserve", {"200Mi", "209715200"}, {"-1", "lots"}},
  };
}

using ConfigValues = ConfigFiles;

TEST_F(ConfigValues, GoodOnesAreTaken) {
  for (const ValueCase& one : cases()) {
    for (const std::string& value : one.good) {
      const std::string set = one.key + "=" + value;
      EXPECT_THAT(errors(load_text("{}", {set})), IsEmpty()) << set;
    }
  }
}

TEST_F(ConfigValues, BadOnesAreRefusedByTheNameOfTheirKey) {
  for (const ValueCase& one : cases()) {
    for (const std::string& value : one.bad) {
      // Not as --set, where nothing after the = is an empty text.
      const std::string set = one.key + "=" + (value.empty() ? "\"\"" : value);
      const std::vector<std::string> lines = errors(load_text("{}", {set}));
      ASSERT_FALSE(lines.empty()) << set;
      EXPECT_THAT(lines[0], HasSubstr("--set: " + one.key)) << set;
      EXPECT_LT(lines[0].size(), 500u) << "long values are cut for show";
    }
  }
}

TEST_F(ConfigValues, ServicesAreNoNeighboursOfPods) {
  EXPECT_THAT(
      errors(load_text("network: { bridge_subnet: 10.1.0.0/16, service_subnet: 10.1.2.0/24 }")),
      testing::ElementsAre(HasSubstr("must not overlap with network.bridge_subnet")));
  EXPECT_THAT(
      errors(load_text("network: { bridge_subnet: 10.1.0.0/16, service_subnet: 10.2.0.0/16 }")),
      testing::IsEmpty());
  // A default that would is no reason not to start.
  Config::Network network;
  EXPECT_EQ(network.services(), "10.90.0.0/16");
  network.bridge_subnet = "10.88.0.0/13";
  EXPECT_EQ(network.services(), "172.30.0.0/16");
}

TEST_F(ConfigValues, ErrorsSayWhatToWrite) {
  EXPECT_THAT(set_error("network.bridge_subnet=127.0.0.0/8"), HasSubstr("no interface may have"));
  EXPECT_THAT(set_error("network.service_subnet=224.0.0.0/8"), HasSubstr("no interface may have"));
  EXPECT_THAT(set_error("images.gc.high=50%"), testing::StartsWith("--set: images.gc.low must be"))
      << "the place is that of the other, where the one is the default";
  EXPECT_EQ(
      set_error("network.bridge_subnet=10.89.3.1/16"),
      "--set: network.bridge_subnet: \"10.89.3.1/16\" is an address inside of a network; write "
      "10.89.0.0/16");
  EXPECT_EQ(
      set_error("mqtt.brokers=[mqtts://h/mqtt]"),
      "--set: mqtt.brokers: \"mqtts://h/mqtt\" must not have a path, which only ws:// and wss:// "
      "have");
  EXPECT_EQ(set_error("mqtt.keepalive=70000s"),
            "--set: mqtt.keepalive: \"70000s\" must be between 5s and 18h12m15s");
  EXPECT_EQ(set_error("telemetry.node=[cpu, memry]"),
            "--set: telemetry.node: \"memry\" is no group of metrics; did you mean memory?");
  EXPECT_EQ(set_error("telemetry.containers=[temperature]"),
            "--set: telemetry.containers: \"temperature\" is no group of metrics; there are cpu, "
            "memory, io, processes, network, oom, state");
  EXPECT_EQ(set_error("telemetry.logs.max_bytes=1Ki"),
            "--set: telemetry.logs.max_bytes: \"1Ki\" must be at least 64Ki");
  EXPECT_EQ(set_error("telemetry.outbox.max_bytes=64Ki"),
            "--set: telemetry.outbox.max_bytes: \"64Ki\" must be at least 1Mi");
}

TEST_F(ConfigValues, WhatOfLogsGoesUp) {
  EXPECT_THAT(set_error("telemetry.logs.forward=warnings"),
              HasSubstr("telemetry.logs.forward: \"warnings\" must be none, errors or all"));
  EXPECT_THAT(set_error("telemetry.logs.rate=10"), HasSubstr("must be between 1Ki and 1Gi"));
  EXPECT_THAT(errors(load_text("{}", {"telemetry.logs.forward=errors"})), IsEmpty());
}

TEST_F(ConfigValues, AKeyInATokenNamesTheFileOfItsPin) {
  EXPECT_THAT(errors(load_text("{}", {"mqtt.cert_file=/own.pem",
                                      "mqtt.key_file=pkcs11:token=a;object=b?pin-source=file:/p"})),
              IsEmpty());
  const std::string refused = set_error("mqtt.key_file=pkcs11:token=a;object=b?pin-value=1234");
  EXPECT_THAT(refused, HasSubstr("?pin-source=file:/etc/wherry/pin"));
  EXPECT_THAT(refused, ::testing::Not(HasSubstr("1234")));
}

TEST_F(ConfigValues, APasswordInAUrlIsNotRepeated) {
  for (const char* value :
       {"[mqtt://user:secret@h]", "[http://user:secret@h]", "[user:secret@h]",
        "[mqtt://user:x@secret@h]", "[wss://h/mqtt?token=secret]", "http://user:secret@h"}) {
    const std::string refused = set_error("mqtt.brokers=" + std::string(value));
    EXPECT_THAT(refused, HasSubstr("mqtt.brokers")) << value;
    EXPECT_THAT(refused, ::testing::Not(HasSubstr("secret"))) << value;
  }
  EXPECT_THAT(set_error("mqtt.brokers=[http://user:secret@h]"),
              HasSubstr("\"http://...@h\" must begin with mqtt://"));
}

TEST_F(ConfigValues, ASecretWhereItsFileBelongsIsNotRepeated) {
  for (const char* key :
       {"mqtt.password_file", "mqtt.key_file", "api.token_file", "images.docker_config"}) {
    for (const char* value : {"hunter2", "./hunter2", "unix:///hunter2", "\"/hunter2\\n\"",
                              "\"-----BEGIN PRIVATE KEY-----\\nhunter2\""}) {
      const std::string refused = set_error(std::string(key) + "=" + value);
      EXPECT_THAT(refused, HasSubstr(std::string(key) + ": must be the absolute path")) << value;
      EXPECT_THAT(refused, ::testing::Not(HasSubstr("hunter2"))) << value;
    }
  }
  const std::string pin = set_error("mqtt.key_file=pkcs11:token=a;object=b?pin-source=hunter2");
  EXPECT_THAT(pin, HasSubstr("is no URI of a key"));
  EXPECT_THAT(pin, ::testing::Not(HasSubstr("hunter2")));
}

}  // namespace
}  // namespace wherry
