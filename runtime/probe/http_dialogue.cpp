#include <algorithm>
#include <charconv>

#include "base/text.h"
#include "runtime/probe/dialogue.h"

namespace wherry::runtime {
namespace {

constexpr size_t kStatusLine = 512;  // the longest we wait for

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
    line_ += bytes.substr(0, kStatusLine - line_.size());
    const size_t end = line_.find('\n');
    if (end == std::string::npos && line_.size() < kStatusLine) return {};
    line_.resize(std::min(end, line_.size()));
    return judge();
  }

  Status closed() override {
    return line_.empty() ? fail(Code::Unavailable, "the server hung up without an answer")
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

  Status judge() const {
    int code = 0;
    const size_t space = line_.find(' ');
    if (line_.starts_with("HTTP/1.") && space != std::string::npos) {
      std::from_chars(line_.data() + space + 1, line_.data() + line_.size(), code);
    }
    if (code < 100 || code > 999) return fail(Code::Unavailable, "the answer is not HTTP");
    if (any_status_ || (code >= 200 && code < 400)) return {};
    return fail(Code::Unavailable, "HTTP status " + std::to_string(code));
  }

  const bool any_status_;
  std::string request_;
  std::string line_;
};

}  // namespace

std::unique_ptr<Dialogue> http_dialogue(const Handler& handler, const std::string& authority,
                                        bool any_status) {
  return std::make_unique<HttpDialogue>(handler, authority, any_status);
}

}  // namespace wherry::runtime
