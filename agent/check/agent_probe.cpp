// The agent itself, and what it was told to run.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <sys/socket.h>
#include <sys/un.h>

#include "agent/check/probes.h"
#include "base/fd.h"

namespace wherry::check {
namespace {

constexpr const char* kDaemon = "daemon";
constexpr const char* kDocuments = "documents";

bool answers(const std::string& socket_path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket_path.size() >= sizeof address.sun_path) return false;
  std::memcpy(address.sun_path, socket_path.data(), socket_path.size());
  const Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  return connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

Finding look_from_outside(const std::string& socket_path) {
  if (answers(socket_path)) {
    return ok(kDaemon, socket_path, "wherryd runs; wherry check asks it for what it knows besides");
  }
  return failed(kDaemon, socket_path, "wherryd does not run, or is not reachable there",
                "systemctl start wherryd; where it ends again, journalctl -u wherryd says why");
}

void look_at_conditions(const StateView& state, Findings& findings) {
  for (const ConditionView& each : state.conditions) {
    // The others have looks of their own.
    if (each.status || each.type != "StoreReady") continue;
    findings.push_back(failed(kDaemon, each.type, each.reason + ": " + each.message,
                              "look at the disk that storage.state_dir is on: df, dmesg"));
  }
}

// Served over TCP, too, where it was asked for.
void look_at_listen(const Scene& scene, Findings& findings) {
  const std::string& listen = scene.config().api.listen;
  if (listen.empty()) return;
  const Status& tcp = scene.knowledge->tcp;
  findings.push_back(tcp ? ok(kDaemon, listen, "the API is served there, too")
                         : failed(kDaemon, listen, tcp.error().full(),
                                  "mend that (ss -ltnp says who has a port): it is tried again "
                                  "every few seconds, without a restart"));
}

std::string first_error(const DesiredView::Rejected& rejected) {
  if (rejected.errors.empty()) return "it says no more";
  const wherry::Finding& error = rejected.errors.front();
  return error.path.empty() ? error.message : error.path + ": " + error.message;
}

Finding refusal(const DesiredView& document, const std::string& keys_dir) {
  const DesiredView::Rejected& rejected = *document.rejected;
  if (rejected.unbelieved) {
    return warn(kDocuments, document.source, "it was refused unread: " + first_error(rejected),
                "mend what it says of key or signature (the keys that count are in " + keys_dir +
                    "), then publish it again; its content and its revision may stay");
  }
  return warn(
      kDocuments, document.source,
      "revision " + std::to_string(rejected.revision) + " was refused: " + first_error(rejected),
      "correct the document and publish it with a larger revision");
}

}  // namespace

Findings look_at_daemon(const Scene& scene) {
  if (!scene.knowledge) return {look_from_outside(scene.config().api.socket)};
  Findings findings;
  const StateView& state = *scene.knowledge->state;
  findings.push_back(
      scene.knowledge->alive
          ? ok(kDaemon, "", "version " + state.device.agent + " makes progress")
          : failed(kDaemon, "", scene.knowledge->alive.error().full(),
                   "systemctl restart wherryd: containers run on; then send a support bundle"));
  look_at_conditions(state, findings);
  look_at_listen(scene, findings);
  // systemd.exec(5): what the manager gives to all that it starts.
  if (std::getenv("INVOCATION_ID") == nullptr) {
    findings.push_back(warn(kDaemon, "service",
                            "systemd did not start it: nobody starts it again, nor after a boot",
                            "systemctl enable --now wherryd, instead of what starts it now"));
  } else {
    findings.push_back(ok(kDaemon, "service", "systemd looks after it"));
  }
  return findings;
}

Findings look_at_documents(const Scene& scene) {
  if (!scene.knowledge) return {};  // only the daemon can tell
  Findings findings;
  const auto& documents = scene.knowledge->documents;
  if (!documents) {
    return {failed(kDocuments, "", documents.error().full(),
                   "look at the disk that storage.state_dir is on")};
  }
  for (const Knowledge::Accepted& each : *documents) {
    findings.push_back(ok(
        kDocuments, each.source,
        "revision " + std::to_string(each.revision) + " was accepted at " + to_rfc3339(each.at)));
  }
  const StateView& state = *scene.knowledge->state;
  for (const DesiredView& each : state.desired) {
    if (!each.rejected) continue;
    findings.push_back(refusal(each, scene.config().security.trusted_keys_dir));
  }
  if (!findings.empty() || !state.workloads.empty()) return findings;
  return {warn(kDocuments, "", "none was ever accepted: nothing runs here",
               "publish one to " + scene.config().mqtt.topic_prefix + "/devices/" +
                   scene.config().device.id + "/desired, retained")};
}

}  // namespace wherry::check
