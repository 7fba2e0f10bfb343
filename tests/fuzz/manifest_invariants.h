#pragma once
// What must hold for any text whatsoever given to the manifest room. Used by the fuzz target and,
// on the corpus and on mutations of good documents, by the unit tests.

#include <string>
#include <string_view>

namespace wherry {

// Empty where all holds, else what does not.
std::string broken_invariant(std::string_view text);

}  // namespace wherry
