#include "runtime/image/credentials.h"

#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/log.h"
#include "base/run_process.h"
#include "base/text.h"
#include "runtime/image/docker_config.h"

namespace wherry::runtime {
namespace {

constexpr uint64_t kMaxHelperOutput = 1u << 20;
constexpr const char* kFailed = "CredentialHelperFailed";

// A helper may need what docker would give it: HOME, the cloud's variables, proxies.
std::vector<std::string> helper_environment() {
  std::vector<std::string> all;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const bool ours = text.starts_with("PATH=") || text.starts_with("NOTIFY_SOCKET=") ||
                      text.starts_with("WATCHDOG_") || text.starts_with("LISTEN_");
    if (!ours) all.emplace_back(text);
  }
  return all;
}

Result<std::optional<Credential>> read_answer(const std::string& output, const std::string& what) {
  const auto json = nlohmann::json::parse(output, nullptr, false);
  const auto text = [&](const char* key) {
    const auto found = json.find(key);
    return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  if (!json.is_object() || !json.contains("Username") || !json.contains("Secret")) {
    return fail(Code::FailedPrecondition, what + " did not answer with JSON of Username and Secret",
                kFailed);
  }
  Credential credential{text("Username"), text("Secret"), {}, {}};
  if (credential.password.empty()) return std::optional<Credential>();
  if (credential.username == "<token>") {
    credential.identity_token = std::exchange(credential.password, {});
    credential.username.clear();
  }
  return std::optional<Credential>(std::move(credential));
}

}  // namespace

Result<std::optional<Credential>> ask_credential_helper(const std::string& program,
                                                        const std::string& server,
                                                        Duration deadline,
                                                        const CancelToken& cancel) {
  const std::string what = "credential helper " + program;
  ProcessCall call;
  call.program = program;
  call.args = {"get"};
  call.env = helper_environment();
  call.input = server;
  call.deadline = deadline;
  call.max_written = kMaxHelperOutput;
  const auto done = run_process(call, cancel);
  if (!done && done.error().code() == Code::Cancelled) return fail(done.error());
  if (!done && done.error().code() == Code::NotFound) {
    return fail(Code::FailedPrecondition, what + " cannot be started: is it installed?", kFailed);
  }
  if (!done) return fail(Error(Code::Unavailable, done.error().full(), kFailed).wrap(what));
  if (done->exit_code != 0) {
    // The protocol's way to say that it has none.
    if (done->output.find("credentials not found") != std::string::npos) {
      return std::optional<Credential>();
    }
    return fail(Code::FailedPrecondition,
                what + " failed with exit code " + std::to_string(done->exit_code) +
                    "; to see why: echo " + server + " | " + program + " get",
                kFailed);
  }
  return read_answer(done->output, what);
}

CredentialQueue::CredentialQueue(const std::vector<RegistryCredential>& of_pods,
                                 DeviceCredentials device, std::string host, std::string repository)
    : device_(std::move(device)), host_(std::move(host)), repository_(std::move(repository)) {
  for (RegistryCredential& each : credentials_for(of_pods, host_, repository_)) {
    ready_.push_back({std::move(each.username), std::move(each.password),
                      std::move(each.identity_token), "imagePullSecrets"});
  }
}

Result<std::optional<Credential>> CredentialQueue::next(const CancelToken& cancel) {
  while (ready_.empty() && place_ != Place::End) {
    const Place place = place_;
    place_ = place == Place::DockerConfig ? Place::Helper : Place::End;
    Status looked = look_into(place, cancel);
    if (looked) continue;
    if (looked.error().code() == Code::Cancelled) return fail(looked.error());
    log_warn("credentials cannot be looked up",
             {{"host", host_}, {"error", looked.error().full()}});
    if (!trouble_) trouble_ = looked.error();
  }
  if (ready_.empty()) return std::optional<Credential>();
  std::optional<Credential> credential(std::move(ready_.front()));
  ready_.pop_front();
  return credential;
}

Status CredentialQueue::look_into(Place place, const CancelToken& cancel) {
  if (place == Place::Helper && !device_.helper.empty()) {
    return ask(device_.helper, "images.credential_helper", cancel);
  }
  if (place == Place::DockerConfig && !device_.docker_config.empty()) {
    return look_into_docker_config(cancel);
  }
  return {};
}

Status CredentialQueue::ask(const std::string& program, const std::string& origin,
                            const CancelToken& cancel) {
  // Docker's own name for its hub, under which its helpers keep the log-in.
  const std::string server = host_ == "docker.io" ? "https://index.docker.io/v1/" : host_;
  auto credential = ask_credential_helper(program, server, device_.helper_deadline, cancel);
  if (!credential) return fail(credential.error());
  if (!*credential) return {};
  (*credential)->origin = origin;
  ready_.push_back(std::move(**credential));
  return {};
}

Status CredentialQueue::look_into_docker_config(const CancelToken& cancel) {
  const std::string& path = device_.docker_config;
  const auto text = read_file(path, 1u << 20);
  if (!text) return fail(Code::FailedPrecondition, text.error().full());
  const auto config = parse_docker_config(*text);
  if (!config) return fail(Code::FailedPrecondition, path + ": " + config.error().full());
  const auto own = config->helpers.find(host_);
  const std::string& helper = own != config->helpers.end() ? own->second : config->store;
  Status asked;
  if (helper.find('/') != std::string::npos) {
    asked = fail(Code::FailedPrecondition, path + ": a helper is named without a path", kFailed);
  } else if (!helper.empty()) {
    asked = ask("docker-credential-" + helper, path, cancel);
  }
  for (RegistryCredential& each : credentials_for(config->auths, host_, repository_)) {
    ready_.push_back(
        {std::move(each.username), std::move(each.password), std::move(each.identity_token), path});
  }
  return asked;
}

}  // namespace wherry::runtime
