#include "agent/manifest/findings.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace wherry::manifest {
namespace {

constexpr size_t kShown = 64;

bool is_word(std::string_view key) {
  return !key.empty() && std::all_of(key.begin(), key.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  });
}

void add(std::vector<Finding>& to, size_t& more, std::string path, Mark mark, std::string message) {
  if (to.size() >= Findings::kMax) {
    ++more;
    return;
  }
  to.push_back({std::move(path), std::move(message), static_cast<int>(mark.line),
                static_cast<int>(mark.column)});
}

std::vector<Finding> take(std::vector<Finding>& from, size_t& more, std::string_view what) {
  std::stable_sort(from.begin(), from.end(), [](const Finding& a, const Finding& b) {
    return std::tie(a.line, a.column) < std::tie(b.line, b.column);
  });
  if (more > 0) {
    from.push_back({"", "and " + std::to_string(more) + " more " + std::string(what), 0, 0});
  }
  more = 0;
  return std::exchange(from, {});
}

}  // namespace

void Path::append_to(std::string& text) const {
  if (parent_ != nullptr) parent_->append_to(text);
  if (step_ == Step::Root) return;
  if (step_ == Step::Index) {
    text += '[' + std::to_string(index_) + ']';
  } else if (is_word(key_)) {
    if (!text.empty()) text += '.';
    text += shown(key_);
  } else {
    text += '[' + shown(key_) + ']';
  }
}

std::string Path::text() const {
  std::string text;
  append_to(text);
  return text;
}

void Findings::error(std::string path, Mark mark, std::string message) {
  add(errors_, more_errors_, std::move(path), mark, std::move(message));
}

void Findings::warning(std::string path, Mark mark, std::string message) {
  add(warnings_, more_warnings_, std::move(path), mark, std::move(message));
}

std::vector<Finding> Findings::take_errors() { return take(errors_, more_errors_, "errors"); }
std::vector<Finding> Findings::take_warnings() {
  return take(warnings_, more_warnings_, "warnings");
}

std::string shown(std::string_view text) {
  if (text.size() <= kShown) return std::string(text);
  size_t cut = kShown - 3;
  while (cut > 0 && (text[cut] & 0xc0) == 0x80) --cut;
  return std::string(text.substr(0, cut)) + "...";
}

}  // namespace wherry::manifest
