#pragma once
// What docker-registry's `auth: token` trusts: gives signed tokens to who knows the password.

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "tests/support/certificates.h"

namespace httplib {
class Server;
}

namespace wherry::test {

class TokenServer {
 public:
  // Knows one user. `identity`: what a refresh token must be.
  TokenServer(std::string user, std::string password, std::string identity = "identity");
  ~TokenServer();
  TokenServer(const TokenServer&) = delete;
  TokenServer& operator=(const TokenServer&) = delete;

  std::string realm() const { return "http://127.0.0.1:" + std::to_string(port_) + "/token"; }
  // PEM of what signs the tokens.
  std::string trust() const { return authority_.certificate(); }
  static constexpr const char* kIssuer = "test issuer";
  static constexpr const char* kService = "test registry";

  // How long tokens hold from now on, in seconds; what the server says of it is one hour.
  void set_lifetime(int seconds) { lifetime_ = seconds; }
  int given() const { return given_; }

 private:
  std::string token_for(const std::string& scope);

  CertificateAuthority authority_;
  Certificate signer_;
  std::atomic<int> lifetime_{3600};
  std::atomic<int> given_{0};
  std::unique_ptr<httplib::Server> server_;
  int port_ = 0;
  std::thread thread_;
};

}  // namespace wherry::test
