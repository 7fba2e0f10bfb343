#include "tests/support/mosquitto_broker.h"

#include <stdexcept>

#include "tests/support/net.h"

namespace wherry::test {

MosquittoBroker::MosquittoBroker(MosquittoOptions options) : options_(std::move(options)) {
  if (options_.port == 0) options_.port = free_port();
  std::string config = "listener " + std::to_string(options_.port) + " 127.0.0.1\n";
  config += "user root\nlog_dest stderr\nlog_type all\nmax_queued_messages 0\n";
  if (options_.tcp_nodelay) config += "set_tcp_nodelay true\n";
  if (options_.persistence)
    config += "persistence true\npersistence_location " + dir_.path() + "/\n";
  if (options_.username.empty()) {
    config += "allow_anonymous true\n";
  } else {
    run_ok(
        {"mosquitto_passwd", "-b", "-c", dir_ / "passwords", options_.username, options_.password});
    config += "allow_anonymous false\npassword_file " + (dir_ / "passwords") + "\n";
  }
  if (!options_.acl.empty()) {
    write_text(dir_ / "acl", options_.acl);
    config += "acl_file " + (dir_ / "acl") + "\n";
  }
  write_text(dir_ / "mosquitto.conf", config + options_.extra_config);
  start();
}

void MosquittoBroker::start() {
  ProcessOptions options;
  options.argv = {"mosquitto", "-c", dir_ / "mosquitto.conf"};
  options.output_path = dir_ / "mosquitto.log";
  process_ = std::make_unique<Process>(std::move(options));
  const bool serves = wait_until([this] { return accepts_tcp(port()) || !process_->running(); });
  if (!serves || !process_->running())
    throw std::runtime_error("mosquitto did not start: " + tail(log()));
}

void MosquittoBroker::stop() {
  if (process_) process_->terminate();
  process_.reset();
}

void MosquittoBroker::kill() {
  if (process_) process_->kill();
  process_.reset();
}

}  // namespace wherry::test
