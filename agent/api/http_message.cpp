#include "agent/api/http_message.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/text.h"

namespace wherry::http {
namespace {

using Failed = tl::unexpected<Problem>;

Failed refuse(int status, std::string detail) { return Failed(Problem{status, std::move(detail)}); }

// RFC 9110 section 5.6.2
bool is_token(std::string_view text) {
  constexpr std::string_view kOther = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           kOther.find(c) != std::string_view::npos;
  });
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Segments are split before they are decoded, so %2F can never make a new one.
std::optional<Problem> parse_path(std::string_view text, Request& request) {
  if (text.empty() || text.front() != '/') return Problem{400, "the path must start with /"};
  if (text == "/") return std::nullopt;
  for (const std::string& part : split(text.substr(1), '/')) {
    std::optional<std::string> segment = percent_decode(part);
    if (!segment || *segment == "." || *segment == ".." ||
        segment->find_first_of("/\\") != std::string::npos) {
      return Problem{400, "the path holds a segment that cannot name anything here"};
    }
    request.path.push_back(std::move(*segment));
  }
  return std::nullopt;
}

std::optional<Problem> parse_query(std::string_view text, Request& request) {
  for (const std::string& part : split(text, '&')) {
    if (part.empty()) continue;
    const size_t equals = part.find('=');
    const std::string_view view = part;
    std::optional<std::string> name = percent_decode(view.substr(0, equals));
    std::optional<std::string> value =
        equals == std::string::npos ? std::string() : percent_decode(view.substr(equals + 1));
    if (!name || !value)
      return Problem{400, "the query holds a broken %-escape or a control character"};
    if (request.param(*name) != nullptr) {
      return Problem{400, "the query parameter \"" + *name + "\" is given twice"};
    }
    request.query.emplace_back(std::move(*name), std::move(*value));
  }
  return std::nullopt;
}

std::optional<Problem> parse_request_line(std::string_view line, Request& request) {
  const size_t first = line.find(' ');
  const size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) {
    return Problem{400, "the first line is not an HTTP request line"};
  }
  request.method = line.substr(0, first);
  const std::string_view target = line.substr(first + 1, last - first - 1);
  const std::string_view version = line.substr(last + 1);
  if (!is_token(request.method)) return Problem{400, "the method is not a word"};
  if (version != "HTTP/1.1" && version != "HTTP/1.0") {
    return version.substr(0, 5) == "HTTP/"
               ? Problem{505, "speak HTTP/1.1"}
               : Problem{400, "the first line is not an HTTP request line"};
  }
  request.http_1_0 = version == "HTTP/1.0";
  if (target.size() > kMaxTargetBytes) return Problem{414, "the path and query are too long"};
  // A fragment is the client's own: what sends it may mean something else by the path.
  if (has_control(target) || target.find_first_of(" \t#") != std::string_view::npos) {
    return Problem{400, "the path holds a blank, a # or a control character"};
  }
  request.target = target;
  const size_t question = target.find('?');
  if (auto problem = parse_path(target.substr(0, question), request)) return problem;
  if (question == std::string_view::npos) return std::nullopt;
  return parse_query(target.substr(question + 1), request);
}

std::optional<Problem> parse_header(std::string_view line, Request& request) {
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) {
    return Problem{400, "a header line is not \"Name: value\""};  // folded lines among them
  }
  std::string_view value = line.substr(colon + 1);
  while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) value.remove_prefix(1);
  while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) value.remove_suffix(1);
  if (has_control(value)) {
    return Problem{400, "a header holds a control character"};
  }
  if (request.headers.size() >= kMaxHeaders) return Problem{431, "there are too many headers"};
  request.headers.emplace_back(lower(line.substr(0, colon)), std::string(value));
  return std::nullopt;
}

// RFC 9112 section 6: exactly one way to know where the body ends.
std::optional<Problem> read_framing(Request& request) {
  for (const std::string_view once :
       {"host", "content-length", "transfer-encoding", "authorization", "expect", "content-type"}) {
    if (std::count_if(request.headers.begin(), request.headers.end(),
                      [&](const auto& header) { return header.first == once; }) > 1) {
      return Problem{400, "the header " + std::string(once) + " is given twice"};
    }
  }
  const std::string* length = request.header("content-length");
  const std::string* encoding = request.header("transfer-encoding");
  if (encoding != nullptr) {
    if (length != nullptr || request.http_1_0) {
      return Problem{400, "give either Content-Length or, with HTTP/1.1, Transfer-Encoding"};
    }
    if (lower(*encoding) != "chunked") return Problem{501, "the only Transfer-Encoding is chunked"};
    request.chunked = true;
  }
  if (length != nullptr) {
    const char* end = length->data() + length->size();
    const auto parsed = std::from_chars(length->data(), end, request.content_length);
    if (parsed.ec != std::errc() || parsed.ptr != end || length->empty()) {
      return Problem{400, "Content-Length is not a number of bytes"};
    }
  }
  if (const std::string* expect = request.header("expect")) {
    if (lower(*expect) != "100-continue") return Problem{417, "the only Expect is 100-continue"};
    request.expects_continue = !request.http_1_0;
  }
  return std::nullopt;
}

}  // namespace

const std::string* Request::header(std::string_view lower_case_name) const {
  const auto found = std::find_if(headers.begin(), headers.end(),
                                  [&](const auto& h) { return h.first == lower_case_name; });
  return found == headers.end() ? nullptr : &found->second;
}

const std::string* Request::param(std::string_view name) const {
  const auto found =
      std::find_if(query.begin(), query.end(), [&](const auto& p) { return p.first == name; });
  return found == query.end() ? nullptr : &found->second;
}

std::optional<Problem> Request::unknown_param(const std::vector<std::string_view>& known) const {
  for (const auto& [name, value] : query) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    std::string detail = "unknown query parameter \"" + name + "\"";
    const std::string near = nearest(name, known);
    if (!near.empty()) detail += "; did you mean \"" + near + "\"?";
    return Problem{400, std::move(detail), "UnknownParameter"};
  }
  return std::nullopt;
}

tl::expected<Request, Problem> parse_head(std::string_view head) {
  if (head.size() > kMaxHeadBytes) return refuse(431, "the request head is too large");
  Request request;
  bool first = true;
  while (first || !head.empty()) {
    const size_t end = head.find("\r\n");
    const std::string_view line = head.substr(0, end);
    head.remove_prefix(end == std::string_view::npos ? head.size() : end + 2);
    auto problem = first ? parse_request_line(line, request) : parse_header(line, request);
    if (problem) return Failed(std::move(*problem));
    first = false;
  }
  if (auto problem = read_framing(request)) return Failed(std::move(*problem));
  if (!request.http_1_0 && request.header("host") == nullptr) {
    return refuse(400, "the Host header is missing");
  }
  return request;
}

std::optional<std::string> percent_decode(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      result += text[i];
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const int high = hex_value(text[i + 1]), low = hex_value(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    result += static_cast<char>(high * 16 + low);
    i += 2;
  }
  if (has_control(result) || result.find('\t') != std::string::npos || !is_valid_utf8(result)) {
    return std::nullopt;
  }
  return result;
}

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
  });
}

std::string_view status_text(int status) {
  struct Entry {
    int status;
    std::string_view text;
  };
  constexpr std::array<Entry, 27> kTexts{{{200, "OK"},
                                          {201, "Created"},
                                          {202, "Accepted"},
                                          {304, "Not Modified"},
                                          {400, "Bad Request"},
                                          {401, "Unauthorized"},
                                          {403, "Forbidden"},
                                          {404, "Not Found"},
                                          {405, "Method Not Allowed"},
                                          {408, "Request Timeout"},
                                          {409, "Conflict"},
                                          {411, "Length Required"},
                                          {413, "Content Too Large"},
                                          {414, "URI Too Long"},
                                          {415, "Unsupported Media Type"},
                                          {417, "Expectation Failed"},
                                          {421, "Misdirected Request"},
                                          {422, "Unprocessable Content"},
                                          {429, "Too Many Requests"},
                                          {431, "Request Header Fields Too Large"},
                                          {500, "Internal Server Error"},
                                          {501, "Not Implemented"},
                                          {502, "Bad Gateway"},
                                          {503, "Service Unavailable"},
                                          {504, "Gateway Timeout"},
                                          {505, "HTTP Version Not Supported"},
                                          {507, "Insufficient Storage"}}};
  const auto* found = std::find_if(kTexts.begin(), kTexts.end(),
                                   [&](const Entry& entry) { return entry.status == status; });
  return found == kTexts.end() ? "Unknown" : found->text;
}

}  // namespace wherry::http
