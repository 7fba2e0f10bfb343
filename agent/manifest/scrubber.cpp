#include "agent/manifest/scrubber.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "agent/manifest/document.h"
#include "agent/manifest/items.h"
#include "agent/manifest/without_secrets.h"
#include "base/base64.h"
#include "base/files.h"
#include "base/text.h"

namespace wherry {
namespace {

using Json = nlohmann::json;

constexpr size_t kMostBytes = 1u << 20;  // of a file that keeps a secret

// Members of docker's config.json that grant something (docker/cli, AuthConfig).
bool grants(const std::string& name) {
  return name == "auth" || name == "password" || name == "identitytoken" || name == "registrytoken";
}

void gather(const Json& json, std::vector<std::string>& found) {
  for (const auto& [name, value] : json.items()) {
    if (value.is_structured()) gather(value, found);
    if (json.is_object() && value.is_string() && grants(name)) found.push_back(value);
  }
}

std::string in_json(std::string_view text) {
  const std::string quoted = Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
  return quoted.substr(1, quoted.size() - 2);
}

}  // namespace

void Scrubber::add_form(std::string_view form) {
  if (form.size() < kShortest) return;
  const auto longer = [](const std::string& a, const std::string& b) {
    return a.size() != b.size() ? a.size() > b.size() : a < b;
  };
  const std::string text(form);
  const auto place = std::lower_bound(forms_.begin(), forms_.end(), text, longer);
  if (place == forms_.end() || *place != text) forms_.insert(place, text);
}

void Scrubber::add(std::string_view value) {
  const std::string_view bare = trim(value);
  if (bare.size() < kShortest) return;
  for (const std::string_view each : {value, bare}) {
    add_form(each);
    add_form(in_json(each));
    add_form(base64_encode(each));
  }
  add_docker_config(bare);
  if (bare.find('\n') == std::string_view::npos) return;
  for (const std::string& line : split(bare, '\n')) {
    const std::string_view part = trim(line);
    add_form(part);
    add_form(in_json(part));
  }
}

void Scrubber::add_secrets(const Document& document) {
  if (document.items == nullptr) return;
  for (const manifest::ConfigItem& secret : document.items->secrets) {
    for (const auto& [key, value] : secret.data) add(value);
  }
}

void Scrubber::add_docker_config(std::string_view json) {
  const Json parsed = Json::parse(json, nullptr, false);
  if (!parsed.is_object()) return;
  std::vector<std::string> found;
  gather(parsed, found);
  for (const std::string& each : found) {
    add_form(each);
    add_form(in_json(each));
    const auto decoded = base64_decode(each);
    if (!decoded) continue;
    add_form(*decoded);
    const size_t colon = decoded->find(':');
    if (colon != std::string::npos) {
      add_form(decoded->substr(colon + 1));
      add_form(in_json(decoded->substr(colon + 1)));
    }
  }
}

void Scrubber::add_file(const std::string& path) {
  if (path.empty()) return;
  if (const auto text = read_file(path, kMostBytes)) add(*text);
}

std::string Scrubber::scrub(std::string text) const {
  for (const std::string& form : forms_) replace_all(text, form, kLeftOut);
  return text;
}

}  // namespace wherry
