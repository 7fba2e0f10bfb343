#pragma once
// What is chosen for Services once and kept: addresses, and ports of the device. Pure.

#include <string>
#include <vector>

#include "agent/manifest/document.h"
#include "agent/reconcile/records.h"

namespace wherry {

std::string_view to_string(runtime::Protocol protocol);  // TCP, UDP, SCTP
std::string port_key(const ServicePort& port);           // of ServiceRecord::node_ports: 80/TCP

// One for each Service, in their order. What `before` has is kept where it still may be: an address
// within `subnet` ("a.b.c.d/n"), a port that nobody asks for. New choices follow from the names, so
// that the same come back where the records were lost. What those in `kept` have is taken. An
// address is empty where there is none left.
std::vector<ServiceRecord> choose(const Merged& merged, const std::vector<ServiceRecord>& before,
                                  const std::vector<ServiceRecord>& kept,
                                  const std::string& subnet);

// NAME_SERVICE_HOST and its like, as Kubernetes has them, for Services that have an address.
std::vector<std::pair<std::string, std::string>> service_environment(
    const std::vector<ServiceSpec>& services, const std::vector<ServiceRecord>& records);

// Replaces what stands for variables of Services (kServiceVariableMark) by their values in `all`,
// and by $(NAME) where there is none.
void fill_service_variables(const std::vector<std::pair<std::string, std::string>>& all,
                            std::string& text);

}  // namespace wherry
