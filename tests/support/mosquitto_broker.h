#pragma once
// A Mosquitto of the test's own.

#include <memory>
#include <string>

#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace wherry::test {

struct MosquittoOptions {
  int port = 0;  // 0: a free one
  // Mosquitto's own default is false; true avoids Nagle's wait on the broker's side.
  bool tcp_nodelay = false;
  bool persistence = false;  // keeps retained messages and sessions over stop() and start()
  std::string username{}, password{};  // given: anonymous clients are refused
  std::string acl{};                   // content of an acl_file
  std::string extra_config{};
};

// Listens on 127.0.0.1. Make it on the main thread. Methods that start throw with the log's tail.
class MosquittoBroker {
 public:
  explicit MosquittoBroker(MosquittoOptions options = {});

  int port() const { return options_.port; }
  std::string url() const { return "mqtt://127.0.0.1:" + std::to_string(port()); }
  std::string log() const { return read_text(dir_ / "mosquitto.log"); }
  pid_t pid() const { return process_ ? process_->pid() : -1; }

  void start();  // on the same port
  void stop();   // SIGTERM: clients see an orderly end, persistence is saved
  void kill();   // SIGKILL: nothing is saved
  void restart() { stop(), start(); }

 private:
  MosquittoOptions options_;
  TempDir dir_;
  std::unique_ptr<Process> process_;
};

}  // namespace wherry::test
