#include "telemetry/outbox/lines.h"

#include <nlohmann/json.hpp>

#include "base/base64.h"

namespace wherry::telemetry {
namespace {

// Learns the little that is to be known of a document without building it.
class Look final : public nlohmann::json_sax<nlohmann::json> {
 public:
  static constexpr int kDeepest = 64;

  bool object = false;  // it is an object
  bool has_at = false;  // … with a member "at"
  bool too_deep = false;
  std::string wrong{};  // with its syntax

  bool null() override { return value(); }
  bool boolean(bool) override { return value(); }
  bool number_integer(number_integer_t) override { return value(); }
  bool number_unsigned(number_unsigned_t) override { return value(); }
  bool number_float(number_float_t, const string_t&) override { return value(); }
  bool string(string_t&) override { return value(); }
  bool binary(binary_t&) override { return value(); }
  bool start_object(size_t) override {
    if (depth_ == 0) object = true;
    return deeper();
  }
  bool key(string_t& name) override {
    if (depth_ == 1 && object && name == "at") has_at = true;
    return true;
  }
  bool end_object() override { return --depth_, true; }
  bool start_array(size_t) override { return deeper(); }
  bool end_array() override { return --depth_, true; }
  bool parse_error(size_t at, const std::string&,
                   const nlohmann::detail::exception& problem) override {
    // JSON itself knows no largest number, but whoever reads the record does.
    constexpr int kOutOfRange = 406;
    wrong = problem.id == kOutOfRange ? "a number is larger than a double has room for"
                                      : "not JSON (at byte " + std::to_string(at) + ")";
    return false;
  }

 private:
  bool value() { return true; }
  bool deeper() {
    too_deep = ++depth_ > kDeepest;
    return !too_deep;
  }
  int depth_ = 0;
};

std::string_view without_spaces(std::string_view text) {
  const auto space = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
  while (!text.empty() && space(text.front())) text.remove_prefix(1);
  while (!text.empty() && space(text.back())) text.remove_suffix(1);
  return text;
}

std::string opening(WallTime at) { return R"({"at":")" + to_rfc3339(at) + '"'; }

}  // namespace

void Lines::add(std::string_view record) {
  if (count++ > 0) text += '\n';
  text += record;
}

void Lines::join(const Lines& others) {
  if (others.empty()) return;
  add(others.text);
  count += others.count - 1;
}

std::string stamped(std::string_view object, WallTime at) {
  std::string_view rest = without_spaces(object);
  rest.remove_prefix(1);  // the brace
  const bool empty = without_spaces(rest).starts_with('}');
  std::string record = opening(at);
  record.reserve(record.size() + rest.size() + 1);
  if (!empty) record += ',';
  record += rest;
  return record;
}

Result<std::string> record_from_json(std::string_view text, WallTime at) {
  const std::string_view value = without_spaces(text);
  if (value.find_first_of("\r\n") != std::string_view::npos) {
    return fail(Code::InvalidArgument, "a record stands on one line");
  }
  // The parser takes both for what they are elsewhere: the end of a text, and its beginning.
  if (value.find('\0') != std::string_view::npos || value.starts_with("\xef\xbb\xbf")) {
    return fail(Code::InvalidArgument,
                "not JSON: it holds a NUL, or begins with a byte order mark");
  }
  Look look;
  const bool good = nlohmann::json::sax_parse(value, &look);
  if (look.too_deep) {
    return fail(Code::InvalidArgument, "nested deeper than " + std::to_string(Look::kDeepest));
  }
  if (!good) return fail(Code::InvalidArgument, look.wrong);
  if (look.object) return look.has_at ? std::string(value) : stamped(value, at);
  return opening(at) + ",\"value\":" + std::string(value) + '}';
}

std::string record_from_bytes(std::string_view bytes, WallTime at) {
  return opening(at) + ",\"base64\":\"" + base64_encode(bytes) + "\"}";
}

size_t prefix_of(std::string_view text, uint32_t count) {
  size_t end = 0;
  for (; count > 0 && end < text.size(); --count) {
    const size_t newline = text.find('\n', end);
    end = newline == std::string_view::npos ? text.size() : newline + 1;
  }
  return end;
}

}  // namespace wherry::telemetry
