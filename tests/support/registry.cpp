#include "tests/support/registry.h"

#include <crypt.h>
#include <stdexcept>

#include "tests/support/net.h"

namespace wherry::test {

std::string htpasswd(const std::string& user, const std::string& password) {
  char salt[CRYPT_GENSALT_OUTPUT_SIZE];
  crypt_data data{};
  const char* made = crypt_gensalt_rn("$2y$", 5, nullptr, 0, salt, sizeof salt);
  const char* hash = made == nullptr ? nullptr : crypt_r(password.c_str(), made, &data);
  if (hash == nullptr) throw std::runtime_error("crypt(3) knows no bcrypt");
  return user + ":" + hash + "\n";
}

Registry::Registry(const RegistryOptions& options)
    : port_(free_port()), storage_(options.storage.empty() ? dir_ / "storage" : options.storage) {
  std::string text =
      "version: 0.1\n"
      "log: { level: info }\n"
      "storage:\n"
      "  filesystem: { rootdirectory: " +
      storage() +
      " }\n"
      "  delete: { enabled: true }\n"
      "http:\n"
      "  addr: " +
      host() +
      "\n"
      "  secret: a-test-registry\n";
  if (!options.certificate.empty()) {
    text += "  tls:\n    certificate: " + options.certificate + "\n    key: " + options.key + "\n";
    if (!options.client_ca.empty()) text += "    clientcas: [" + options.client_ca + "]\n";
  }
  if (!options.auth.empty()) text += "auth: " + options.auth + "\n";
  if (!options.users.empty()) {
    write_text(dir_ / "users", options.users);
    text += "auth: { htpasswd: { realm: test, path: " + (dir_ / "users") + " } }\n";
  }
  write_text(dir_ / "config.yml", text);
  start();
}

void Registry::start() {
  ProcessOptions options;
  options.argv = {"docker-registry", "serve", dir_ / "config.yml"};
  options.env = {{"OTEL_TRACES_EXPORTER", "none"}};
  options.output_path = dir_ / "registry.log";
  process_ = std::make_unique<Process>(std::move(options));
  const bool serves = wait_until([this] { return accepts_tcp(port_) || !process_->running(); });
  if (!serves || !process_->running())
    throw std::runtime_error("docker-registry did not start: " + tail(log()));
}

void Registry::stop() {
  if (process_) process_->terminate();
  process_.reset();
}

std::string Registry::push(const std::string& oci_archive, const std::string& repository_and_tag) {
  std::string reference = host() + "/" + repository_and_tag;
  run_ok({"skopeo", "--insecure-policy", "copy", "--quiet", "--preserve-digests",
          "--dest-tls-verify=false", "oci-archive:" + oci_archive, "docker://" + reference},
         Millis{60'000});
  return reference;
}

}  // namespace wherry::test
