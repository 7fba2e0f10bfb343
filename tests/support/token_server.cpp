#include "tests/support/token_server.h"

#include <cstdio>
#include <ctime>
#include <stdexcept>
#include <vector>

#include <httplib.h>
#include <nlohmann/json.hpp>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "base/base64.h"

namespace wherry::test {
namespace {

std::unique_ptr<FILE, int (*)(FILE*)> open_pem(const std::string& path) {
  return {std::fopen(path.c_str(), "re"), std::fclose};
}

std::string der_of(const std::string& path) {
  const auto file = open_pem(path);
  X509* certificate = PEM_read_X509(file.get(), nullptr, nullptr, nullptr);
  unsigned char* bytes = nullptr;
  const int size = i2d_X509(certificate, &bytes);
  X509_free(certificate);
  if (size <= 0) throw std::runtime_error("cannot read " + path);
  std::string der(reinterpret_cast<char*>(bytes), static_cast<size_t>(size));
  OPENSSL_free(bytes);
  return der;
}

// ES256 (RFC 7518 section 3.4): r and s, 32 bytes each, out of OpenSSL's DER.
std::string sign(const std::string& text, const std::string& key_path) {
  const auto file = open_pem(key_path);
  EVP_PKEY* key = PEM_read_PrivateKey(file.get(), nullptr, nullptr, nullptr);
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  std::vector<unsigned char> der(256);
  size_t size = der.size();
  const bool good =
      EVP_DigestSignInit(context, nullptr, EVP_sha256(), nullptr, key) == 1 &&
      EVP_DigestSign(context, der.data(), &size,
                     reinterpret_cast<const unsigned char*>(text.data()), text.size()) == 1;
  EVP_MD_CTX_free(context);
  EVP_PKEY_free(key);
  if (!good) throw std::runtime_error("cannot sign a token");
  const unsigned char* at = der.data();
  ECDSA_SIG* signature = d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(size));
  std::string raw(64, '\0');
  auto* bytes = reinterpret_cast<unsigned char*>(raw.data());
  BN_bn2binpad(ECDSA_SIG_get0_r(signature), bytes, 32);
  BN_bn2binpad(ECDSA_SIG_get0_s(signature), bytes + 32, 32);
  ECDSA_SIG_free(signature);
  return raw;
}

// "repository:a/web:pull" as the registry wants it back.
nlohmann::json access_of(const std::string& scope) {
  const size_t first = scope.find(':');
  const size_t last = scope.rfind(':');
  if (first == last) return nlohmann::json::array();
  std::vector<std::string> actions;
  std::string rest = scope.substr(last + 1) + ",";
  for (size_t at = 0, end = 0; (end = rest.find(',', at)) != std::string::npos; at = end + 1) {
    actions.push_back(rest.substr(at, end - at));
  }
  return {{{"type", scope.substr(0, first)},
           {"name", scope.substr(first + 1, last - first - 1)},
           {"actions", actions}}};
}

}  // namespace

TokenServer::TokenServer(std::string user, std::string password, std::string identity)
    : signer_(authority_.issue("token.test")), server_(std::make_unique<httplib::Server>()) {
  const std::string basic = "Basic " + base64_encode(user + ":" + password);
  const auto answer = [this](bool known, const std::string& scope, httplib::Response& response) {
    response.status = known ? 200 : 401;
    if (!known) return;
    const nlohmann::json json{{"token", token_for(scope)}, {"expires_in", 3600}};
    response.set_content(json.dump(), "application/json");
  };
  server_->Get("/token", [=](const httplib::Request& request, httplib::Response& response) {
    answer(request.get_header_value("Authorization") == basic, request.get_param_value("scope"),
           response);
  });
  server_->Post("/token", [=](const httplib::Request& request, httplib::Response& response) {
    const bool known = request.get_param_value("grant_type") == "refresh_token" &&
                       request.get_param_value("service") == kService &&
                       request.get_param_value("refresh_token") == identity;
    answer(known, request.get_param_value("scope"), response);
  });
  port_ = server_->bind_to_any_port("127.0.0.1");
  thread_ = std::thread([this] { server_->listen_after_bind(); });
  while (!server_->is_running()) std::this_thread::yield();
}

TokenServer::~TokenServer() {
  server_->stop();
  thread_.join();
}

std::string TokenServer::token_for(const std::string& scope) {
  const std::time_t now = std::time(nullptr);
  const nlohmann::json header{
      {"typ", "JWT"}, {"alg", "ES256"}, {"x5c", {base64_encode(der_of(signer_.certificate))}}};
  const nlohmann::json claims{{"iss", kIssuer},
                              {"sub", "me"},
                              {"aud", kService},
                              {"exp", now + lifetime_},
                              {"nbf", now - 60},
                              {"iat", now},
                              {"jti", std::to_string(++given_)},
                              {"access", access_of(scope)}};
  const std::string text = base64url_encode(header.dump()) + "." + base64url_encode(claims.dump());
  return text + "." + base64url_encode(sign(text, signer_.key));
}

}  // namespace wherry::test
