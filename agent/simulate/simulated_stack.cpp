#include "agent/simulate/simulated_stack.h"

#include <algorithm>
#include <utility>

namespace wherry::simulate {

Result<runtime::Image> SimulatedImages::pull(const runtime::PullRequest& request,
                                             CancelToken cancel) {
  if (pulls_fail_) {
    return fail(Code::Unavailable,
                "pull " + request.reference + ": this simulated device was told to fail pulls",
                "ErrImagePull");
  }
  store_.publish(request.reference);
  return store_.pull(request, std::move(cancel));
}

Result<std::vector<runtime::Image>> SimulatedImages::import_archive(const std::string&,
                                                                    CancelToken) {
  return fail(Code::Unimplemented, "a simulated device imports no archives");
}

Result<runtime::PruneReport> SimulatedImages::prune(const runtime::PruneRequest& request,
                                                    CancelToken) {
  runtime::PruneReport report;
  report.fits = request.waiting;
  return report;
}

Result<runtime::ContainerStatus> SimulatedRuntime::start_container(
    const runtime::PodSpec& pod, const runtime::ContainerSpec& container, uint32_t attempt,
    CancelToken cancel) {
  auto status = fake_.start_container(pod, container, attempt, std::move(cancel));
  if (status) started_(pod, container);
  return status;
}

void SimulatedHealth::watch(std::vector<runtime::ProbeTarget> targets) {
  std::vector<std::string> known;
  for (const runtime::ProbeTarget& target : targets) {
    known.push_back(target.container_id);
    if (std::binary_search(known_.begin(), known_.end(), target.container_id)) continue;
    for (const auto kind : {runtime::ProbeNews::Kind::Started, runtime::ProbeNews::Kind::Ready}) {
      sink_.probed({target.container_id, target.pod, target.container->name, kind, ""});
    }
  }
  std::sort(known.begin(), known.end());
  known_ = std::move(known);
}

Status SimulatedLogs::read(const runtime::LogQuery& query, const LineSink& sink, CancelToken) {
  sink(to_rfc3339(clock_.wall()) + " a simulated container of " + query.pod + " prints nothing\n");
  return {};
}

}  // namespace wherry::simulate
