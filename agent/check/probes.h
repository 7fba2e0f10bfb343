#pragma once
// The single looks. Private to this room.

#include <string>

#include "agent/check/checker.h"

namespace wherry::check {

Findings look_at_configuration(const Scene& scene);
Findings look_at_permissions(const Scene& scene);
Findings look_at_daemon(const Scene& scene);
Findings look_at_containerd(const Scene& scene);
Findings look_at_cgroups(const Scene& scene);
Findings look_at_kernel(const Scene& scene);
Findings look_at_cni(const Scene& scene);
Findings look_at_iptables(const Scene& scene);
Findings look_at_dns(const Scene& scene);
Findings look_at_brokers(const Scene& scene);
Findings look_at_certificates(const Scene& scene);
Findings look_at_clock(const Scene& scene);
Findings look_at_disk(const Scene& scene);
Findings look_at_logs(const Scene& scene);
Findings look_at_documents(const Scene& scene);

// The path of a program by its name, as helpers are searched for; empty where there is none.
std::string find_helper(const std::string& name);

}  // namespace wherry::check
