#pragma once
// The daemon, as the tool sees it: REST over its unix socket.

#include <functional>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "base/result.h"

namespace wherry::cli {

// Errors: Unavailable with reason Unreachable where there is no daemon to talk to; else what the
// daemon answered, with its words: InvalidArgument where it did not understand what was asked.
class Client {
 public:
  explicit Client(std::string socket) : socket_(std::move(socket)) {}

  const std::string& socket() const { return socket_; }
  // Why a connection would fail, in words that help; asked before each request.
  Status reachable() const;
  // `target` with its query, escaped.
  Result<nlohmann::ordered_json> get(const std::string& target) const;
  // Until it ends; `sink` returns false to end it.
  using Sink = std::function<bool(std::string_view bytes)>;
  Status stream(const std::string& target, const Sink& sink) const;
  Status post_stream(const std::string& target, const nlohmann::ordered_json& body,
                     const Sink& sink) const;
  // Without a body, or with one; may take minutes.
  Result<nlohmann::ordered_json> post(const std::string& target) const;
  Result<nlohmann::ordered_json> post(const std::string& target,
                                      const nlohmann::ordered_json& body) const;
  // A document. Errors only where there is no answer; `problem` is set where the answer is problem
  // details.
  Result<nlohmann::ordered_json> send_document(const std::string& method, const std::string& target,
                                               const std::string& document, bool& problem) const;
  // Sends the file ("-": standard input) as the body; the directory of an OCI layout as an archive.
  Result<nlohmann::ordered_json> post_file(const std::string& target,
                                           const std::string& path) const;

 private:
  Result<nlohmann::ordered_json> post_layout(const std::string& target,
                                             const std::string& directory) const;

  const std::string socket_;
};

// The error that problem details (RFC 9457) tell of.
Error problem_error(const nlohmann::ordered_json& problem);

std::string escape_query(std::string_view text);

}  // namespace wherry::cli
