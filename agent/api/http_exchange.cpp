#include "agent/api/http_exchange.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <utility>

namespace wherry::http {
namespace {

constexpr size_t kSendBytes = 64u << 10;

// RFC 9110, section 5.6.7; the agent never sets a locale.
std::string date_now() {
  const time_t now = time(nullptr);
  struct tm parts {};
  std::array<char, 32> text{};
  gmtime_r(&now, &parts);
  return {text.data(), strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &parts)};
}

}  // namespace

Exchange::Exchange(std::shared_ptr<Socket> socket, Peer peer, const Timeouts& timeouts,
                   CancelToken cancel)
    : socket_(std::move(socket)),
      peer_(std::move(peer)),
      timeouts_(timeouts),
      cancel_(std::move(cancel)) {}

bool Exchange::receive() {
  const MonoTime until = clock_.now() + timeouts_.head;
  std::string bytes;
  std::array<char, 2048> part{};
  size_t end = std::string::npos;
  while (end == std::string::npos) {
    if (bytes.size() > kMaxHeadBytes) {
      respond(Problem{431, "the request head is too large"});
      return false;
    }
    const auto got = socket_->read(part.data(), part.size(), until - clock_.now());
    if (!got && got.error().code() == Code::DeadlineExceeded && !bytes.empty()) {
      respond(Problem{408, "the request head took too long"});
    }
    if (!got || *got == 0) return false;
    const size_t from = bytes.size() < 3 ? 0 : bytes.size() - 3;
    bytes.append(part.data(), *got);
    end = bytes.find("\r\n\r\n", from);
  }
  auto parsed = parse_head(std::string_view(bytes).substr(0, end));
  if (!parsed) {
    respond(parsed.error());
    return false;
  }
  request_ = std::move(*parsed);
  bytes.erase(0, end + 4);
  body_.emplace(*socket_, timeouts_, request_, std::move(bytes));
  return true;
}

Result<size_t> Exchange::read_body(char* buffer, size_t size) {
  if (request_.expects_continue && !continued_) {
    continued_ = true;
    if (Status sent = send("HTTP/1.1 100 Continue\r\n\r\n"); !sent) return fail(sent.error());
  }
  return body_->read(buffer, size);
}

std::string Exchange::head(int status, std::string_view content_type,
                           const Headers& headers) const {
  std::string text = "HTTP/1.1 " + std::to_string(status) + " ";
  text += status_text(status);
  text += "\r\nContent-Type: ";
  text += content_type;
  text += "\r\nDate: " + date_now();
  text += "\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n";
  const bool says_what_may_be_kept =
      std::any_of(headers.begin(), headers.end(),
                  [](const auto& header) { return header.first == "Cache-Control"; });
  if (!says_what_may_be_kept) text += "Cache-Control: no-store\r\n";
  for (const auto& [name, value] : headers) {
    text.append(name).append(": ").append(value).append("\r\n");
  }
  return text;
}

void Exchange::respond(int status, std::string_view content_type, std::string_view body,
                       const Headers& headers) {
  status_ = status;
  std::string text = head(status, content_type, headers);
  // Of 304 it would be the length of what is not sent.
  if (status != 304) text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  text += "\r\n";
  if (request_.method != "HEAD") text += body;
  // A client that is gone already is no concern of the handler.
  (void)send(text);
}

void Exchange::respond(const Problem& problem) {
  respond(problem.status, "application/problem+json", to_json(problem) + "\n", problem.headers);
}

Status Exchange::begin(int status, std::string_view content_type) {
  status_ = status;
  chunked_ = !request_.http_1_0;
  std::string text = head(status, content_type, {});
  if (chunked_) text += "Transfer-Encoding: chunked\r\n";
  return send(text + "\r\n");
}

Status Exchange::write(std::string_view bytes) {
  if (bytes.empty() || request_.method == "HEAD") return {};
  if (!chunked_) return send(bytes);
  std::array<char, 24> size{};
  const int digits = std::snprintf(size.data(), size.size(), "%zx\r\n", bytes.size());
  std::string chunk(size.data(), static_cast<size_t>(digits));
  chunk.append(bytes).append("\r\n");
  return send(chunk);
}

Status Exchange::finish() {
  if (!chunked_ || request_.method == "HEAD") return {};
  return send("0\r\n\r\n");
}

// A client that takes a little now and then would otherwise hold its thread for hours.
Status Exchange::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::string_view part = bytes.substr(0, kSendBytes);
    const Duration allowed =
        timeouts_.write + std::chrono::seconds(sent_ / timeouts_.min_bytes_per_second);
    const MonoTime begin = clock_.now();
    Status sent = socket_->write(part, std::min(allowed - waited_, timeouts_.write));
    if (!sent) return sent;
    waited_ += clock_.now() - begin;
    sent_ += static_cast<int64_t>(part.size());
    bytes.remove_prefix(part.size());
  }
  return {};
}

void Exchange::close() {
  const bool all_read = body_ && body_->finished();
  if (status_ != 0 && !all_read) {
    socket_->linger(timeouts_.linger, peer_.tcp ? timeouts_.linger_bytes : SIZE_MAX);
  } else {
    socket_->part();  // one that sends several requests at once would not see the first's answer
  }
}

}  // namespace wherry::http
