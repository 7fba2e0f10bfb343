#include "runtime/network/loopback_route.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/files.h"
#include "base/text.h"
#include "runtime/network/pod_record.h"

namespace wherry::runtime {
namespace {

Status fail_errno(const std::string& what) {
  return fail(Code::Internal, what + ": " + std::strerror(errno));
}

Status set(const std::string& path, char value) {
  const Fd file(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (file.valid() && write(file.get(), &value, 1) == 1) return {};
  return fail_errno("write " + path);
}

}  // namespace

bool lead_from_device_to_pods(const std::vector<ServiceRules>& services) {
  return std::any_of(services.begin(), services.end(), [](const ServiceRules& service) {
    return !service.address.empty() &&
           std::any_of(service.ports.begin(), service.ports.end(), [](const ServiceForward& port) {
             return port.node_port != 0 &&
                    std::any_of(port.endpoints.begin(), port.endpoints.end(),
                                [](const ServiceEndpoint& each) { return !each.ip.empty(); });
           });
  });
}

Status LoopbackRoute::open(const std::string& interface) {
  const Result<std::string> now = read_file(setting(interface), 16);
  if (!now) return fail(now.error());
  if (trim(*now) != "0") return {};
  if (Status noted = write_volatile(note_, interface); !noted) return noted;
  return set(setting(interface), '1');
}

Status LoopbackRoute::close(bool still_used) {
  const Result<std::string> interface = read_file(note_, 256);
  if (!interface)
    return interface.error().code() == Code::NotFound ? Status() : fail(interface.error());
  const std::string path = setting(*interface);
  if (!still_used && access(path.c_str(), F_OK) == 0) {
    if (Status closed = set(path, '0'); !closed) return closed;
  }
  return unlink(note_.c_str()) == 0 || errno == ENOENT ? Status() : fail_errno("delete " + note_);
}

}  // namespace wherry::runtime
