#pragma once
// What must hold for whatever a WebSocket server sends.

#include <string>
#include <string_view>

namespace wherry {

// Empty where all holds, else what does not.
std::string broken_websocket(std::string_view text);

}  // namespace wherry
