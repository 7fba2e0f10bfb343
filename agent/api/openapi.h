#pragma once
// The description of the REST interface, OpenAPI 3.1: configs/openapi.json.

#include <string>

namespace wherry {

// As it is served: whole. What it refers to in other files of configs/ is in its components, by the
// file's name ("reported-state").
std::string openapi_document();

}  // namespace wherry
