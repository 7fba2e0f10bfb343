#pragma once
// The texts of /etc/hosts, /etc/hostname and /etc/resolv.conf of a Pod. Pure.

#include <string>
#include <vector>

#include "base/result.h"
#include "runtime/types.h"

namespace wherry::runtime {

// Loopback names and, below them, the Pod's own address and name (hosts(5)).
// `hostname`: with further names behind it, or before it.
std::string make_hosts(const std::string& hostname, const std::string& ip);
// A line for each alias.
std::string make_aliases(const std::vector<HostAlias>& aliases);

struct PodResolvConf {
  std::string text;
  int usable = 0;   // nameservers kept
  int removed = 0;  // nameservers that cannot be reached from inside the Pod
};
// The host's resolv.conf(5) without nameservers that only work on the host itself: loopback ones
// and link-local ones with a zone.
PodResolvConf make_resolv_conf(const std::string& host_text);
// resolv.conf(5) of the device, or nothing of it, joined with what the Pod asks for: the device's
// name servers and search domains come first, an option of the Pod's own takes the other's place.
// No more name servers than a resolver looks at, which is three.
std::string with_dns(const std::string& text, const PodDns& dns);

// Replaces the content in place and keeps the inode, since containers have the file bind-mounted.
// Not synced: the files are written again after a reboot.
Status write_in_place(const std::string& path, const std::string& text);

}  // namespace wherry::runtime
