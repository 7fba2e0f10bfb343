#include "agent/reconcile/strike_out.h"

#include <utility>

namespace wherry {
namespace {

void strike(const Scrubber& secrets, std::string& text) {
  if (!text.empty()) text = secrets.scrub(std::move(text));
}

void strike(const Scrubber& secrets, Error& error) {
  const std::string text = error.full();
  std::string clean = secrets.scrub(text);
  if (clean != text) error = Error(error.code(), std::move(clean), std::string(error.reason()));
}

void strike(const Scrubber& secrets, Status& status) {
  if (!status) strike(secrets, status.error());
}

}  // namespace

void strike_out(const Scrubber& secrets, Mail& mail) {
  for (LookResult& look : mail.looked) {
    if (!look.pods) continue;
    for (runtime::PodStatus& pod : *look.pods) {
      for (runtime::ContainerStatus& container : pod.containers) strike(secrets, container.message);
    }
  }
  for (runtime::ProbeNews& news : mail.probed) strike(secrets, news.message);
  for (runtime::HookDone& done : mail.hooked) strike(secrets, done.status);
  for (ActionResult& result : mail.acted) {
    strike(secrets, result.status);
    for (auto& [container, error] : result.not_started) strike(secrets, error);
  }
}

}  // namespace wherry
