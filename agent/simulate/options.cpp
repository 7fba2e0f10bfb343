#include "agent/simulate/options.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <random>

#include <CLI/CLI.hpp>

#include "agent/fleet/broker_url.h"
#include "base/text.h"

namespace wherry::simulate {
namespace {

// Checks of CLI11 answer with what is wrong, or "".
std::string checked_broker(const std::string& text) {
  const auto url = parse_broker_url(text);
  return url ? "" : url.error().full();
}

// As in the configuration: device ids and groups, [A-Za-z0-9][A-Za-z0-9._-]{0,63}.
std::string checked_name(const std::string& text) {
  const auto is_alnum = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  };
  const bool good = !text.empty() && text.size() <= 57 && is_alnum(text.front()) &&
                    std::all_of(text.begin(), text.end(), [&](char c) {
                      return is_alnum(c) || c == '.' || c == '_' || c == '-';
                    });
  return good ? ""
              : "\"" + printable(text) +
                    "\" must be letters, digits, '.', '_' and '-', begin with a letter or digit, "
                    "and have at most 57 characters";
}

std::string checked_label(const std::string& text) {
  return text.find('=') > 0 && text.find('=') != std::string::npos
             ? ""
             : "\"" + printable(text) + "\" must be KEY=VALUE";
}

// A duration of the configuration, written into `value`.
void add_duration(CLI::App& app, const std::string& name, Duration& value,
                  const std::string& help) {
  app.add_option_function<std::string>(
         name, [&value](const std::string& text) { value = *parse_duration(text); },
         help + " [" + format_duration(value) + "]")
      ->type_name("DURATION")
      ->check([](const std::string& text) {
        const auto parsed = parse_duration(text);
        return parsed ? std::string() : parsed.error().full();
      });
}

void add_share(CLI::App& app, const std::string& name, double& value, const std::string& help) {
  app.add_option_function<double>(
         name, [&value](const double& percent) { value = percent / 100; }, help)
      ->type_name("PERCENT")
      ->check(CLI::Range(0.0, 100.0));
}

void describe_fleet(CLI::App& app, Options& options, std::vector<std::string>& labels) {
  app.add_option("N", options.count, "how many devices")->required()->check(CLI::Range(1, 100'000));
  app.add_option("--prefix", options.prefix, "ids are PREFIX-0001 and so on")
      ->capture_default_str()
      ->check(checked_name);
  app.add_option("--group", options.fleet.groups, "a group they are all in; may be repeated")
      ->allow_extra_args(false)
      ->check(checked_name);
  app.add_option("--label", labels, "KEY=VALUE, a label of them all; may be repeated")
      ->allow_extra_args(false)
      ->check(checked_label);
  app.add_option("--arch", options.device.arch, "kubernetes.io/arch: amd64, arm64, arm")
      ->capture_default_str()
      ->check(CLI::IsMember({"amd64", "arm64", "arm"}));
  add_duration(app, "--pull-time", options.behaviour.pull, "a pull takes about that long");
  add_duration(app, "--action-time", options.behaviour.action,
               "a start, stop or removal takes about that long");
  add_duration(app, "--job-time", options.behaviour.job,
               "containers of Jobs and init containers end well after about that long");
  add_share(app, "--fail-pulls", options.fail_pulls, "of the devices cannot pull any image");
  add_share(app, "--crash", options.crash, "of the devices have containers that fail");
  add_duration(app, "--crash-time", options.behaviour.crash, "… about that long after each start");
  app.add_option("--seed", options.seed, "decides who fails and how long things take")
      ->capture_default_str();
}

void describe_link(CLI::App& app, Options& options) {
  FleetOptions& fleet = options.fleet;
  app.add_option("--broker", fleet.brokers,
                 "mqtt://, mqtts://, ws:// or wss://HOST[:PORT]; may be repeated, tried in order")
      ->allow_extra_args(false)
      ->check(checked_broker);
  app.add_option("--topic-prefix", fleet.topic_prefix, "mqtt.topic_prefix")->capture_default_str();
  app.add_option_function<std::string>(
         "--mqtt-version",
         [&fleet](const std::string& text) { fleet.version = text == "5" ? 5 : 4; },
         "5 or 3.1.1 [5]")
      ->check(CLI::IsMember({"5", "3.1.1"}));
  const char* each = "; {id} stands for the device's id";
  app.add_option("--username", fleet.username, std::string("user name") + each);
  app.add_option("--password-file", fleet.password_file, std::string("its password") + each);
  app.add_option("--ca-file", fleet.ca_file, "certificates that the broker's is checked with");
  app.add_option("--cert-file", fleet.cert_file, std::string("client certificate") + each);
  app.add_option("--key-file", fleet.key_file, std::string("its key") + each);
  add_duration(app, "--keepalive", fleet.keepalive, "mqtt.keepalive");
  add_duration(app, "--session-expiry", fleet.session_expiry, "mqtt.session_expiry");
  add_duration(app, "--reconnect-min", fleet.reconnect_min, "mqtt.reconnect.min");
  add_duration(app, "--reconnect-max", fleet.reconnect_max, "mqtt.reconnect.max");
  app.add_option("--connects-per-second", options.connects_per_second,
                 "how fast they appear in the beginning")
      ->capture_default_str()
      ->check(CLI::Range(0.1, 100'000.0));
}

void with_id(std::string& text, const std::string& id) { replace_all(text, "{id}", id); }

}  // namespace

Parsed parse_options(int argc, char** argv) {
  Parsed parsed;
  Options& options = parsed.options;
  options.fleet.topic_prefix = "wherry/v1";
  options.fleet.keepalive = std::chrono::seconds(60);
  options.fleet.session_expiry = std::chrono::hours(1);
  options.fleet.reconnect_min = std::chrono::seconds(1);
  options.fleet.reconnect_max = std::chrono::minutes(5);
  options.device.arch = "arm64";
  options.device.os = "simulated";
  options.device.kernel = "simulated";
  options.device.agent = WHERRY_VERSION;
  options.device.cpus = 4;
  options.device.memory_bytes = int64_t{4} << 30;

  CLI::App app{
      "Runs N virtual devices in one process, for testing a fleet manager: a real broker and the "
      "agent's own decisions, but no containers. Ends with SIGTERM or Ctrl-C.",
      "wherry-simulate"};
  app.set_version_flag("--version", std::string("wherry-simulate ") + WHERRY_VERSION);
  std::vector<std::string> labels;
  std::string level = "error";
  describe_fleet(app, options, labels);
  describe_link(app, options);
  app.add_option("--threads", options.threads, "that share the devices")
      ->capture_default_str()
      ->check(CLI::Range(1, 64));
  app.add_option("--log-level", level, "debug, info, warn, error")
      ->capture_default_str()
      ->check(CLI::IsMember({"debug", "info", "warn", "error"}));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {
      parsed.exit_code = app.exit(error);
    } else {
      std::fprintf(stderr, "wherry-simulate: %s; see wherry-simulate --help\n", error.what());
      parsed.exit_code = 2;
    }
    return parsed;
  }
  static const std::map<std::string, LogLevel> kLevels = {{"debug", LogLevel::Debug},
                                                          {"info", LogLevel::Info},
                                                          {"warn", LogLevel::Warn},
                                                          {"error", LogLevel::Error}};
  options.log_level = kLevels.at(level);
  if (options.fleet.brokers.empty()) options.fleet.brokers = {"mqtt://127.0.0.1:1883"};
  options.device.groups = options.fleet.groups;
  for (const std::string& label : labels) {
    const size_t equals = label.find('=');
    options.device.labels[label.substr(0, equals)] = label.substr(equals + 1);
  }
  return parsed;
}

std::vector<DeviceSetup> plan_fleet(const Options& options, MonoTime now) {
  std::vector<DeviceSetup> fleet;
  fleet.reserve(options.count);
  const size_t digits = std::max<size_t>(4, std::to_string(options.count).size());
  const double pause = 1e9 / options.connects_per_second;
  std::mt19937 random(options.seed);
  std::uniform_real_distribution<double> unit(0, 1);
  for (size_t i = 0; i < options.count; ++i) {
    DeviceSetup setup{options.fleet, options.device, options.behaviour};
    std::string number = std::to_string(i + 1);
    number.insert(0, digits - number.size(), '0');
    setup.device.id = options.prefix + "-" + number;
    setup.device.boot = random_uuid();
    setup.fleet.device_id = setup.device.id;
    setup.fleet.boot_id = setup.device.boot;
    for (std::string* text : {&setup.fleet.username, &setup.fleet.password_file,
                              &setup.fleet.cert_file, &setup.fleet.key_file}) {
      with_id(*text, setup.device.id);
    }
    setup.behaviour.pulls_fail = unit(random) < options.fail_pulls;
    setup.behaviour.crashes = unit(random) < options.crash;
    setup.seed = static_cast<uint32_t>(random());
    setup.connect_at = now + Duration(static_cast<int64_t>(pause * static_cast<double>(i)));
    fleet.push_back(std::move(setup));
  }
  return fleet;
}

}  // namespace wherry::simulate
