#include "runtime/volume/pod_names.h"

#include <cerrno>
#include <cstring>
#include <set>
#include <unistd.h>
#include <vector>

#include "base/files.h"
#include "base/log.h"
#include "base/text.h"
#include "runtime/volume/directory.h"
#include "runtime/volume/pod_files.h"

namespace wherry::runtime {
namespace {

constexpr size_t kMaxHosts = 1u << 20;
constexpr const char* kLoopback = "127.0.0.1";

// Where `from` reaches `to`; empty where it cannot be known.
std::string reachable_at(const PodAddress& from, const PodAddress& to) {
  if (!to.ip.empty()) return to.ip;
  return from.ip.empty() ? kLoopback : from.gateway;
}

std::string own_part(const std::string& hosts) { return hosts.substr(0, hosts.find(kNamesMark)); }

}  // namespace

std::string make_names(const std::string& pod, const std::map<std::string, PodAddress>& all,
                       const std::string& services) {
  const auto own = all.find(pod);
  if (own == all.end()) return {};
  std::string text;
  std::set<std::string> hidden;
  for (const std::string& line : split(services, '\n')) {
    const size_t tab = line.find('\t');
    if (tab == std::string::npos) continue;
    for (std::string& name : split(line.substr(tab + 1), ' ')) hidden.insert(std::move(name));
    const std::string ip = line.substr(0, tab);
    const std::string at = ip == "-" ? reachable_at(own->second, {}) : ip;
    if (!at.empty()) text.append(at).append(line.substr(tab)).append("\n");
  }
  for (const auto& [name, address] : all) {
    if (name == pod || hidden.contains(name)) continue;
    const std::string at = reachable_at(own->second, address);
    if (!at.empty()) text.append(at).append("\t").append(name).append("\n");
  }
  return text;
}

std::map<std::string, PodAddress> PodNames::read_all() const {
  std::map<std::string, PodAddress> all;
  const auto pods = names_in(pods_dir_);
  if (!pods) return all;
  for (const std::string& pod : *pods) {
    const auto text = read_file(pods_dir_ + "/" + pod + "/address");
    if (!text) continue;  // not made yet, or going away
    const std::vector<std::string> lines = split(*text, '\n');
    if (lines.size() >= 2) all[pod] = {lines[0], lines[1]};
  }
  return all;
}

std::string PodNames::read_services() const {
  return services_file_.empty() ? "" : read_file(services_file_, kMaxHosts).value_or("");
}

Status PodNames::put(const std::string& pod, const PodAddress& address, std::string own) {
  const std::string directory = pods_dir_ + "/" + pod;
  if (!own.empty() && own.back() != '\n') own += '\n';
  {
    const std::lock_guard turn(turn_);
    const Status kept =
        write_in_place(directory + "/address", address.ip + "\n" + address.gateway + "\n");
    if (!kept) return kept;
    const std::string text =
        own_part(own) + kNamesMark + make_names(pod, read_all(), read_services());
    if (Status written = write_in_place(directory + "/hosts", text); !written) return written;
  }
  refresh();
  return {};
}

Status PodNames::forget(const std::string& pod) {
  {
    const std::lock_guard turn(turn_);
    for (const char* file : {"/address", "/hosts"}) {
      const std::string path = pods_dir_ + "/" + pod + file;
      if (unlink(path.c_str()) == 0 || errno == ENOENT) continue;
      return fail(Code::Internal, "delete " + path + ": " + std::strerror(errno));
    }
  }
  refresh();
  return {};
}

void PodNames::write_all() const {
  const std::map<std::string, PodAddress> all = read_all();
  const std::string services = read_services();
  for (const auto& [pod, address] : all) {
    const std::string path = pods_dir_ + "/" + pod + "/hosts";
    const auto present = read_file(path, kMaxHosts);
    if (!present) continue;
    const Status written =
        write_in_place(path, own_part(*present) + kNamesMark + make_names(pod, all, services));
    if (!written) {
      log_warn("a workload does not see the names of all others",
               {{"workload", pod}, {"error", written.error().full()}});
    }
  }
}

void PodNames::refresh() {
  stale_ = true;
  // Whoever is at work looks again after letting go, so nobody needs to wait for it.
  while (stale_) {
    const std::unique_lock turn(turn_, std::try_to_lock);
    if (!turn) return;
    if (stale_.exchange(false)) write_all();
  }
}

}  // namespace wherry::runtime
