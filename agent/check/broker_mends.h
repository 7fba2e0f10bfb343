#pragma once
// What to do for each word that the link has for its troubles.

#include <string_view>

namespace wherry::check {

// `reason`: of the conditions BrokerConnected and CertificateValid, in docs/troubleshooting.md.
// Empty for words that are not there.
std::string_view broker_mend(std::string_view reason);

}  // namespace wherry::check
