#pragma once
// What was chosen for Services, in a file of its own: a line for each.

#include <string>

#include "agent/reconcile/records.h"

namespace wherry {

class ServiceFile final : public ServiceRecords {
 public:
  explicit ServiceFile(std::string path) : path_(std::move(path)) {}

  Status save_services(const std::vector<ServiceRecord>& services) override;
  // What is not readable is left out: it is chosen anew.
  Result<std::vector<ServiceRecord>> services() override;

 private:
  const std::string path_;
};

}  // namespace wherry
