#pragma once
// The texts of /etc/hosts, /etc/hostname and /etc/resolv.conf of a Pod. Pure.

#include <string>

#include "base/result.h"

namespace wherry::runtime {

// Loopback names and, below them, the Pod's own address and name (hosts(5)).
std::string make_hosts(const std::string& hostname, const std::string& ip);

struct PodResolvConf {
  std::string text;
  int usable = 0;   // nameservers kept
  int removed = 0;  // nameservers that cannot be reached from inside the Pod
};
// The host's resolv.conf(5) without nameservers that only work on the host itself: loopback ones
// and link-local ones with a zone.
PodResolvConf make_resolv_conf(const std::string& host_text);

// Replaces the content in place and keeps the inode, since containers have the file bind-mounted.
// Not synced: the files are written again after a reboot.
Status write_in_place(const std::string& path, const std::string& text);

}  // namespace wherry::runtime
