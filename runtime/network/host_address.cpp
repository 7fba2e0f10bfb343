#include "runtime/network/host_address.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/fd.h"

namespace wherry::runtime {
namespace {

std::string to_text(const sockaddr_in& address) {
  char text[INET_ADDRSTRLEN] = {};
  return inet_ntop(AF_INET, &address.sin_addr, text, sizeof text) == nullptr ? "" : text;
}

// Connecting a datagram socket only looks for a route.
std::string by_route() {
  const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in far{};
  far.sin_family = AF_INET;
  far.sin_port = htons(9);
  inet_pton(AF_INET, "192.0.2.1", &far.sin_addr);  // TEST-NET-1, RFC 5737
  const auto* target = reinterpret_cast<const sockaddr*>(&far);
  if (!socket.valid() || connect(socket.get(), target, sizeof far) != 0) return {};
  sockaddr_in own{};
  socklen_t size = sizeof own;
  if (getsockname(socket.get(), reinterpret_cast<sockaddr*>(&own), &size) != 0) return {};
  return to_text(own);
}

std::string by_interface() {
  ifaddrs* all = nullptr;
  if (getifaddrs(&all) != 0) return {};
  std::string found;
  for (const ifaddrs* each = all; each != nullptr && found.empty(); each = each->ifa_next) {
    const bool usable = (each->ifa_flags & IFF_UP) != 0 && (each->ifa_flags & IFF_LOOPBACK) == 0;
    if (!usable || each->ifa_addr == nullptr || each->ifa_addr->sa_family != AF_INET) continue;
    found = to_text(*reinterpret_cast<const sockaddr_in*>(each->ifa_addr));
  }
  freeifaddrs(all);
  return found;
}

}  // namespace

std::string host_address() {
  std::string address = by_route();
  if (address.empty()) address = by_interface();
  return address.empty() ? "127.0.0.1" : address;
}

std::string interface_with(const std::string& address) {
  ifaddrs* all = nullptr;
  if (getifaddrs(&all) != 0) return {};
  std::string found;
  for (const ifaddrs* each = all; each != nullptr && found.empty(); each = each->ifa_next) {
    if (each->ifa_addr == nullptr || each->ifa_addr->sa_family != AF_INET) continue;
    if (to_text(*reinterpret_cast<const sockaddr_in*>(each->ifa_addr)) == address) {
      found = each->ifa_name;
    }
  }
  freeifaddrs(all);
  return found;
}

}  // namespace wherry::runtime
