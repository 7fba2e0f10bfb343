#pragma once
// Documents as people may see them, and what they must not see.

#include <string>
#include <string_view>
#include <vector>

namespace wherry {

inline constexpr const char* kLeftOut = "(left out)";

// A DesiredState or a local manifest as JSON, one document a line; of each Secret, wherever it is,
// only names, labels and keys stay: every value is kLeftOut. Empty where the text is no document.
std::string without_secrets(std::string_view document);

// Every value of every Secret of a document, decoded; in base64 also as it was written.
std::vector<std::string> secret_values(std::string_view document);

}  // namespace wherry
