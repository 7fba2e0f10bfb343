#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>
#include <unistd.h>
#include <utility>

#include "base/digest.h"
#include "base/failpoint.h"
#include "base/files.h"
#include "base/log.h"
#include "base/run_process.h"
#include "base/text.h"
#include "runtime/network/applied_services.h"
#include "runtime/network/host_address.h"
#include "runtime/network/kernel_parts.h"
#include "runtime/network/loopback_route.h"
#include "runtime/network/pod_record.h"
#include "runtime/network/service_flows.h"
#include "runtime/network/service_network.h"
#include "runtime/network/service_route.h"

namespace wherry::runtime {
namespace {

constexpr const char* kUnavailable = "ServicesUnavailable";
constexpr size_t kMostOutput = 1u << 20;  // as run_process() cuts it
constexpr Duration kDeadline = std::chrono::seconds(20);

Result<std::string> run(std::string program, std::vector<std::string> args, std::string input,
                        const CancelToken& cancel) {
  ProcessCall call;
  call.program = std::move(program);
  call.args = std::move(args);
  call.input = std::move(input);
  call.deadline = kDeadline;
  Result<ProcessResult> done = run_process(call, cancel);
  if (!done && done.error().code() == Code::NotFound) {
    return fail(Code::FailedPrecondition,
                call.program + " is not installed: install the package iptables", kUnavailable);
  }
  if (!done) return fail(done.error());
  if (done->output.size() >= kMostOutput) {
    return fail(Code::ResourceExhausted, "the device has more rules of iptables than can be read",
                kUnavailable);
  }
  if (done->exit_code == 0) return std::move(done->output);
  std::string why(trim(done->errors));
  replace_all(why, "\n", " ");
  return fail(Code::Unavailable, call.program + ": " + why, kUnavailable);
}

class IptablesServices final : public Services {
 public:
  IptablesServices(ServiceOptions options, PodNetwork& network, std::function<void()> names_changed)
      : options_(std::move(options)),
        // Agents of one machine do not meet.
        tag_("WHERRY-" + sha256_hex(options_.run_dir).substr(0, 6) + "-"),
        loopback_(directory() + "/loopback", "/proc/sys/net/ipv4/conf"),
        network_(network),
        names_changed_(std::move(names_changed)) {}

  Result<std::vector<ServiceFault>> apply(const std::vector<ServiceRules>& services,
                                          CancelToken cancel) override {
    const std::lock_guard turn(turn_);
    std::vector<ServiceFault> faults;
    if (Status applied = apply_all(services, cancel, faults); !applied) {
      return fail(applied.error());
    }
    return faults;
  }

  std::vector<ServiceRules> applied() override {
    auto known = read_applied(notes());
    if (known) return std::move(*known);
    if (known.error().code() != Code::NotFound) {
      log_warn("what Services led to is not known", {{"error", known.error().full()}});
    }
    return {};
  }

 private:
  std::string directory() const { return options_.run_dir + "/services"; }
  std::string marker() const { return directory() + "/rules"; }
  std::string notes() const { return directory() + "/applied.json"; }

  Status apply_all(const std::vector<ServiceRules>& services, const CancelToken& cancel,
                   std::vector<ServiceFault>& faults) {
    const bool before = access(directory().c_str(), F_OK) == 0;
    if (services.empty() && !before) return {};
    if (Status made = make_directories(directory(), 0755); !made) return made;
    // Before the rules: a new agent must know whom they lead to, rather than cut them off.
    if (Status kept = write_applied(notes(), services); !kept) return kept;
    Status ruled = apply_rules(services, cancel, faults);
    if (Status named = write_names(services); ruled && !named) ruled = named;
    if (ruled && services.empty()) return remove_tree(directory());
    return ruled;
  }

  Status write_names(const std::vector<ServiceRules>& services) {
    const std::string& path = options_.names_file;
    const std::string text = make_service_names(services);
    if (read_file(path).value_or("") == text) return {};
    if (Status written = write_volatile(path, text); !written) return written;
    names_changed_();
    return {};
  }

  Status apply_rules(const std::vector<ServiceRules>& services, const CancelToken& cancel,
                     std::vector<ServiceFault>& faults) {
    const bool made = access(marker().c_str(), F_OK) == 0;
    RuleSurroundings around{tag_, options_.subnet, "", false};
    const bool needed = !plan_service_rules("", around, services).input.empty();
    if (!made && !needed) return {};
    // First, so that whatever we are killed at is removed some day.
    if (!made) {
      if (Status marked = write_volatile(marker(), tag_ + "\n"); !marked) return marked;
    }
    if (needed) {
      if (Status routed = add_service_route(options_.subnet); !routed) return routed;
    }
    auto saved = run("iptables-save", {}, "", cancel);
    // Without the program there are no rules of ours either.
    if (!saved && !needed && saved.error().code() == Code::FailedPrecondition) saved = "";
    if (!saved) return fail(saved.error());
    around.device_ip = device_ip(services);
    const bool to_pods = lead_from_device_to_pods(services);
    const std::string bridge = to_pods ? interface_with(gateway()) : "";
    around.loopback = !to_pods || !bridge.empty();
    if (bridge.empty()) close_loopback(*saved);  // while others are still kept out of it
    const RulePlan plan = plan_service_rules(*saved, around, services);
    if (Status ok = failpoint("service.rules.planned"); !ok) return ok;
    std::vector<ServiceRules> led = services;
    if (Status done = restore(plan.input, cancel); !done) {
      // It takes a table as a whole or not at all: what was there still is.
      faults = find_faults(led, cancel);
      if (faults.empty()) return done;
      const RulePlan rest = plan_service_rules(*saved, around, led);
      if (Status again = restore(rest.input, cancel); !again) return again;
    }
    if (Status ok = failpoint("service.rules.written"); !ok) return ok;
    if (!bridge.empty()) open_loopback(bridge);
    end_flows(led, around.device_ip);
    if (plan.any) return {};
    if (Status routed = remove_service_route(options_.subnet); !routed) return routed;
    if (unlink(marker().c_str()) == 0 || errno == ENOENT) return {};
    return fail(Code::Internal, "delete " + marker() + ": " + std::strerror(errno));
  }

  // Without it everything works but ports of 127.0.0.1.
  void open_loopback(const std::string& bridge) {
    const Status opened = loopback_.open(bridge);
    if (!opened) {
      log_warn("ports of Services do not answer on 127.0.0.1", {{"error", opened.error().full()}});
    }
  }
  // portmap relies on it for the ports of Pods.
  void close_loopback(const std::string& saved) {
    const Status closed = loopback_.close(saved.find(":CNI-HOSTPORT-DNAT") != std::string::npos);
    if (!closed) {
      log_warn("the loopback stays open to the bridge", {{"error", closed.error().full()}});
    }
  }

  static Status restore(const std::string& input, const CancelToken& cancel) {
    if (input.empty()) return {};
    const auto done = run("iptables-restore", {"--noflush", "--wait", "10"}, input, cancel);
    return done ? Status() : Status(fail(done.error()));
  }

  // Asks the kernel for each part that one of them needs, and takes the endpoints from those that
  // cannot be had.
  std::vector<ServiceFault> find_faults(std::vector<ServiceRules>& services,
                                        const CancelToken& cancel) const {
    const auto has = [&](const KernelPart& part) {
      return bool(restore(make_trial(tag_, part), cancel));
    };
    std::map<const KernelPart*, bool> there;
    std::vector<ServiceFault> faults;
    if (!has(kPlainPart)) return faults;  // then it is something else
    for (ServiceRules& service : services) {
      for (const KernelPart* part : parts_needed(service)) {
        const auto [known, added] = there.emplace(part, true);
        if (added) known->second = has(*part);
        if (known->second) continue;
        faults.push_back({service.name, without_part(*part)});
        for (ServiceForward& port : service.ports) port.endpoints.clear();
        break;
      }
    }
    return faults;
  }

  // Only UDP's have to be ended, and are looked for where there are Services of it, or were.
  void end_flows(const std::vector<ServiceRules>& services, const std::string& device) {
    bool udp = false;
    for (const ServiceRules& service : services) {
      for (const ServiceForward& port : service.ports) {
        udp = udp || (port.protocol == Protocol::Udp && !service.address.empty());
      }
    }
    if (std::exchange(had_udp_, udp) || udp) {
      const Status ended = end_stale_flows(services, options_.subnet, device);
      if (!ended) log_debug("old flows are not ended", {{"error", ended.error().full()}});
    }
  }

  // Where packets for a Pod on the device's network go: its address on the bridge is always there.
  std::string device_ip(const std::vector<ServiceRules>& services) {
    for (const ServiceRules& service : services) {
      for (const ServiceForward& port : service.ports) {
        for (const ServiceEndpoint& endpoint : port.endpoints) {
          if (endpoint.ip.empty()) return bridge_address();
        }
      }
    }
    return {};
  }
  std::string bridge_address() {
    const std::string address = gateway();
    return address.empty() ? host_address() : address;
  }
  // The device's address on the bridge of its Pods; "" where it is not known.
  std::string gateway() {
    const auto pods = network_.list();
    for (const std::string& pod : pods ? *pods : std::vector<std::string>()) {
      const auto status = network_.status(pod);
      if (status && !status->gateway.empty()) return status->gateway;
    }
    return {};
  }

  const ServiceOptions options_;
  const std::string tag_;
  LoopbackRoute loopback_;
  PodNetwork& network_;
  const std::function<void()> names_changed_;
  bool had_udp_ = true;  // in an earlier life, for all that is known
  std::mutex turn_;      // held over I/O on purpose: the newest rules last
};

}  // namespace

std::unique_ptr<Services> make_iptables_services(ServiceOptions options, PodNetwork& network,
                                                 std::function<void()> names_changed) {
  return std::make_unique<IptablesServices>(std::move(options), network, std::move(names_changed));
}

}  // namespace wherry::runtime
