#include "tests/fuzz/device_invariants.h"

#include <nlohmann/json.hpp>

#include "base/text.h"
#include "runtime/device/cdi_spec.h"
#include "runtime/device/spec_edits.h"

namespace wherry {
namespace {

using Json = nlohmann::json;
using runtime::CdiSpec;

std::string broken_error(const Error& error) {
  const std::string& words = error.message();
  if (words.empty()) return "an error without words";
  if (words.size() > 500) return "a long error: " + words;
  if (!is_valid_utf8(words)) return "an error that is no UTF-8";
  if (words.find_first_of("\n\r\t") != std::string::npos) return "an error of two lines: " + words;
  return "";
}

std::string broken_edits(const CdiSpec& spec) {
  for (const auto& [name, edits] : spec.devices) {
    if (!runtime::parse_cdi_name(spec.kind + "=" + name, false)) return "a device with no name";
    Json made{{"process", {{"user", {{"uid", 1000}, {"gid", 0}}}}},
              {"mounts", Json::array({{{"destination", "/proc"}}})}};
    // A device that is not there is no mistake of the file.
    const bool applied =
        runtime::apply_edits(spec.edits, made) && runtime::apply_edits(edits, made);
    if (!applied) continue;
    const std::string once = made.dump();
    if (!runtime::apply_edits(edits, made)) return "edits that cannot be applied twice";
    if (made.value("/process/env"_json_pointer, Json::array()) !=
        Json::parse(once).value("/process/env"_json_pointer, Json::array())) {
      return "a variable set twice";
    }
  }
  return "";
}

}  // namespace

std::string broken_cdi_spec(std::string_view text) {
  for (const bool yaml : {false, true}) {
    const auto spec = runtime::parse_cdi_spec(text, yaml);
    std::string broken = spec ? broken_edits(*spec) : broken_error(spec.error());
    if (!broken.empty()) return broken;
    if (!spec || yaml) continue;
    const auto again = runtime::parse_cdi_spec(Json::parse(text).dump(), false);
    if (!again || *again != *spec) return "it means something else when written out again";
  }
  return "";
}

}  // namespace wherry
