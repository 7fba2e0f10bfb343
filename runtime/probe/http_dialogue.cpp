#include <algorithm>
#include <charconv>

#include "base/text.h"
#include "runtime/probe/dialogue.h"

namespace wherry::runtime {
namespace {

constexpr size_t kStatusLine = 512;       // the longest we wait for
constexpr size_t kMostHeads = 16u << 10;  // that are kept of answers before the answer

class HttpDialogue final : public Dialogue {
 public:
  HttpDialogue(const Handler& handler, const std::string& authority, bool any_status)
      : any_status_(any_status) {
    request_ = "GET " + (handler.path.empty() ? "/" : handler.path) + " HTTP/1.1\r\n";
    const std::pair<const char*, std::string> defaults[] = {
        {"Host", authority}, {"User-Agent", "kube-probe/wherry"}, {"Accept", "*/*"}};
    for (const auto& [name, value] : defaults) {
      if (!given(handler, name)) add(name, value);
    }
    for (const auto& [name, value] : handler.headers) {
      if (!value.empty()) add(name, value);  // empty: left out, as in Kubernetes
    }
    request_ += "Connection: close\r\n\r\n";
  }

  std::string opening() override { return request_; }

  std::optional<Status> take(std::string_view bytes, std::string&) override {
    while (true) {
      const size_t fits = std::min(bytes.size(), kMostHeads - head_.size());
      head_ += bytes.substr(0, fits);
      bytes.remove_prefix(fits);
      const size_t line = head_.find('\n');
      if (line == std::string::npos && head_.size() < kStatusLine) return {};
      if (!is_interim()) return judge();
      const size_t end = end_of_head(line);
      if (end != std::string::npos) {
        head_.erase(0, end);
      } else if (head_.size() < kMostHeads) {
        return {};
      } else {
        return fail(Code::Unavailable, "the answer is not HTTP");
      }
    }
  }

  Status closed() override {
    return head_.empty() || is_interim()
               ? fail(Code::Unavailable, "the server hung up without an answer")
               : judge();
  }

 private:
  static bool given(const Handler& handler, std::string_view name) {
    for (const auto& header : handler.headers) {
      if (lower(header.first) == lower(name)) return true;
    }
    return false;
  }
  static std::string lower(std::string_view text) {
    std::string result(text);
    for (char& c : result) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    return result;
  }

  void add(std::string_view name, std::string_view value) {
    request_ += std::string(name) + ": " + std::string(value) + "\r\n";
  }

  // 0 where it is not HTTP.
  int code() const {
    int code = 0;
    const std::string_view line =
        std::string_view(head_).substr(0, std::min(head_.find('\n'), kStatusLine));
    const size_t space = line.find(' ');
    if (line.starts_with("HTTP/1.") && space != std::string_view::npos) {
      std::from_chars(line.data() + space + 1, line.data() + line.size(), code);
    }
    return code < 100 || code > 999 ? 0 : code;
  }

  // The answer comes behind it (RFC 9110, 15.2). 101 is one: nobody asked for another protocol.
  bool is_interim() const {
    const int status = code();
    return status >= 100 && status < 200 && status != 101;
  }

  // Behind the first empty line; npos where there is none yet.
  size_t end_of_head(size_t line) const {
    for (size_t at = line; at != std::string::npos; at = head_.find('\n', at + 1)) {
      if (head_.compare(at + 1, 1, "\n") == 0) return at + 2;
      if (head_.compare(at + 1, 2, "\r\n") == 0) return at + 3;
    }
    return std::string::npos;
  }

  Status judge() const {
    const int status = code();
    if (status == 0) return fail(Code::Unavailable, "the answer is not HTTP");
    if (any_status_ || (status >= 200 && status < 400)) return {};
    return fail(Code::Unavailable, "HTTP status " + std::to_string(status));
  }

  const bool any_status_;
  std::string request_;
  std::string head_;
};

}  // namespace

std::unique_ptr<Dialogue> http_dialogue(const Handler& handler, const std::string& authority,
                                        bool any_status) {
  return std::make_unique<HttpDialogue>(handler, authority, any_status);
}

}  // namespace wherry::runtime
