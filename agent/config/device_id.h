#pragma once
// The device's own name where the configuration gives none.

#include <string>

#include "base/result.h"

namespace wherry::config {

// From the machine id in `file` (machine-id(5): 32 hexadecimal digits), which must not leave the
// device as it is: the result is 32 digits, what `systemd-id128 machine-id --app-specific=…` prints
// for Wherry's application id. Fails where there is no machine id.
Result<std::string> device_id_from(const std::string& file);

}  // namespace wherry::config
