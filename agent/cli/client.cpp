#include "agent/cli/client.h"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <httplib.h>
#include <nlohmann/json.hpp>

#include "agent/cli/layout_tar.h"

namespace wherry::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr auto kAnswerWithin = std::chrono::seconds(30);
constexpr auto kImportWithin = std::chrono::minutes(30);  // unpacking on a slow flash disk
constexpr auto kStreamSilence = std::chrono::hours(24 * 365);
constexpr const char* kArchiveType = "application/x-tar";
constexpr size_t kSendBytes = 64u << 10;

void prepare(httplib::Client& client, std::chrono::seconds answer_within) {
  client.set_address_family(AF_UNIX);
  client.set_read_timeout(answer_within);
  client.set_write_timeout(kAnswerWithin);
  // The library would send the socket's path as Host.
  client.set_default_headers({{"Host", "localhost"}});
}

Code code_of(int status) {
  switch (status) {
    case 400:
      return Code::InvalidArgument;
    case 411:
    case 413:
    case 422:
      return Code::FailedPrecondition;
    case 401:
    case 403:
      return Code::PermissionDenied;
    case 404:
      return Code::NotFound;
    case 501:
      return Code::Unimplemented;
    case 503:
      return Code::Unavailable;
    default:
      return Code::Internal;
  }
}

// From problem details, or as good as it gets.
Error error_from(int status, const Json& problem) {
  std::string detail = "the daemon answered with status " + std::to_string(status);
  if (problem.is_object() && problem.contains("detail") && problem["detail"].is_string()) {
    detail = problem["detail"].get<std::string>();
  }
  std::string reason;
  if (problem.is_object() && problem.contains("reason") && problem["reason"].is_string()) {
    reason = problem["reason"].get<std::string>();
  }
  return {code_of(status), std::move(detail), std::move(reason)};
}
Error error_from(int status, const std::string& body) {
  return error_from(status, Json::parse(body, nullptr, false));
}

Error broken(httplib::Error error) {
  return {Code::Internal, "the connection to the daemon broke (" + httplib::to_string(error) +
                              "); see journalctl -u wherryd"};
}

// What is no UTF-8 on the command line is for the daemon to refuse.
std::string body_of(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<Json> parsed(const httplib::Result& result) {
  if (!result) return fail(broken(result.error()));
  if (result->status >= 300) return fail(error_from(result->status, result->body));
  Json json = Json::parse(result->body, nullptr, false);
  if (json.is_discarded()) {
    return fail(Code::Internal, "the daemon's answer is not JSON; is it another version?");
  }
  return json;
}

struct FileCloser {
  void operator()(std::FILE* file) const {
    if (file != stdin) std::fclose(file);
  }
};
using File = std::unique_ptr<std::FILE, FileCloser>;

// Reads the next part of the file into the sink; false where reading fails.
bool send_part(std::FILE* file, httplib::DataSink& sink, size_t at_most, bool& at_end) {
  std::array<char, kSendBytes> part{};
  const size_t got = std::fread(part.data(), 1, std::min(part.size(), at_most), file);
  at_end = got == 0;
  if (got == 0) return std::ferror(file) == 0;
  return sink.write(part.data(), got);
}

Status read_stream(httplib::Client& client, httplib::Request request, const Client::Sink& sink) {
  prepare(client, kStreamSilence);
  int status = 0;
  bool stopped = false;
  std::string problem;
  request.response_handler = [&](const httplib::Response& response) {
    status = response.status;
    return true;
  };
  request.content_receiver = [&](const char* data, size_t size, uint64_t, uint64_t) {
    if (status >= 300) {
      problem.append(data, size);
      return true;
    }
    stopped = !sink({data, size});
    return !stopped;
  };
  const auto result = client.send(request);
  if (stopped) return {};
  if (!result) return fail(broken(result.error()));
  if (status >= 300) return fail(error_from(status, problem));
  return {};
}

}  // namespace

Error problem_error(const Json& problem) {
  const bool known =
      problem.is_object() && problem.contains("status") && problem["status"].is_number_integer();
  return error_from(known ? problem["status"].get<int>() : 500, problem);
}

Status Client::reachable() const {
  const auto unreachable = [&](const std::string& why) {
    return fail(Code::Unavailable, why, "Unreachable");
  };
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket_.size() >= sizeof address.sun_path) {
    return fail(Code::InvalidArgument, "the socket path " + socket_ + " is too long");
  }
  std::memcpy(address.sun_path, socket_.data(), socket_.size());
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int result = connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const int error = errno;
  close(fd);
  if (result == 0) return {};
  if (error == EACCES || error == EPERM) {
    return unreachable("you may not use " + socket_ +
                       "; use sudo, or join the group that owns it (usually wherry)");
  }
  return unreachable("the daemon is not reachable at " + socket_ + " (" + std::strerror(error) +
                     "); start it with: systemctl start wherryd");
}

Result<Json> Client::get(const std::string& target) const {
  if (Status there = reachable(); !there) return fail(there.error());
  httplib::Client client(socket_);
  prepare(client, kAnswerWithin);
  return parsed(client.Get(target));
}

Status Client::stream(const std::string& target, const Sink& sink) const {
  httplib::Request request;
  request.method = "GET";
  request.path = target;
  if (Status there = reachable(); !there) return there;
  httplib::Client client(socket_);
  return read_stream(client, std::move(request), sink);
}

Status Client::post_stream(const std::string& target, const Json& body, const Sink& sink) const {
  httplib::Request request;
  request.method = "POST";
  request.path = target;
  request.body = body_of(body);
  request.set_header("Content-Type", "application/json");
  if (Status there = reachable(); !there) return there;
  httplib::Client client(socket_);
  return read_stream(client, std::move(request), sink);
}

Result<Json> Client::post_layout(const std::string& target, const std::string& directory) const {
  const auto tar = LayoutTar::open(directory);
  if (!tar) return fail(tar.error());
  if (Status there = reachable(); !there) return fail(there.error());
  httplib::Client client(socket_);
  prepare(client, kImportWithin);
  Status read;
  const auto send = [&](size_t, size_t, httplib::DataSink& sink) {
    read =
        tar->write([&](std::string_view bytes) { return sink.write(bytes.data(), bytes.size()); });
    return read.has_value();
  };
  const auto answer = client.Post(target, tar->size(), send, kArchiveType);
  if (!answer && !read && read.error().code() != Code::Cancelled) return fail(read.error());
  return parsed(answer);
}

Result<Json> Client::post(const std::string& target) const {
  if (Status there = reachable(); !there) return fail(there.error());
  httplib::Client client(socket_);
  prepare(client, kImportWithin);
  return parsed(client.Post(target));
}

Result<Json> Client::post(const std::string& target, const Json& body) const {
  if (Status there = reachable(); !there) return fail(there.error());
  httplib::Client client(socket_);
  prepare(client, kImportWithin);
  return parsed(client.Post(target, body_of(body), "application/json"));
}

Result<Json> Client::send_document(const std::string& method, const std::string& target,
                                   const std::string& document, bool& problem) const {
  if (Status there = reachable(); !there) return fail(there.error());
  httplib::Client client(socket_);
  prepare(client, kImportWithin);
  httplib::Request request;
  request.method = method;
  request.path = target;
  request.body = document;
  request.set_header("Content-Type", "application/octet-stream");
  const auto result = client.send(request);
  if (!result) return fail(broken(result.error()));
  problem = result->status >= 300;
  Json json = Json::parse(result->body, nullptr, false);
  if (!json.is_discarded()) return json;
  return fail(
      problem ? error_from(result->status, result->body)
              : Error(Code::Internal, "the daemon's answer is not JSON; is it another version?"));
}

Result<Json> Client::post_file(const std::string& target, const std::string& path) const {
  const File file(path == "-" ? stdin : std::fopen(path.c_str(), "rb"));
  struct stat info {};
  if (!file || fstat(fileno(file.get()), &info) != 0) {
    return fail(Code::FailedPrecondition, "read " + path + ": " + std::strerror(errno));
  }
  if (S_ISDIR(info.st_mode)) return post_layout(target, path);
  if (Status there = reachable(); !there) return fail(there.error());
  httplib::Client client(socket_);
  prepare(client, kImportWithin);
  bool at_end = false;
  if (S_ISREG(info.st_mode)) {
    const auto send = [&](size_t, size_t length, httplib::DataSink& sink) {
      // A file that shrank meanwhile ends the request: the daemon must not wait for the rest.
      return send_part(file.get(), sink, length, at_end) && !at_end;
    };
    return parsed(client.Post(target, static_cast<size_t>(info.st_size), send, kArchiveType));
  }
  const auto send = [&](size_t, httplib::DataSink& sink) {
    if (!send_part(file.get(), sink, kSendBytes, at_end)) return false;
    if (at_end) sink.done();
    return true;
  };
  return parsed(client.Post(target, send, kArchiveType));
}

std::string escape_query(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
                       (byte >= 'a' && byte <= 'z') || byte == '-' || byte == '.' || byte == '_' ||
                       byte == '~';
    if (plain) {
      result += c;
    } else {
      result += '%';
      result += kHex[byte >> 4U];
      result += kHex[byte & 15U];
    }
  }
  return result;
}

}  // namespace wherry::cli
