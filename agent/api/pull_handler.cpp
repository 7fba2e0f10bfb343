// Fetching an image while the client watches.
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include <nlohmann/json.hpp>
#include <tl/expected.hpp>

#include "agent/api/handlers.h"
#include "agent/reconcile/pull_view.h"
#include "base/executor.h"
#include "base/log.h"

namespace wherry {
namespace {

using http::Problem;
using Json = nlohmann::ordered_json;

constexpr size_t kMaxBody = 16u << 10;
constexpr Duration kLineEvery = std::chrono::milliseconds(250);

tl::expected<std::string, Problem> read_reference(http::Exchange& exchange, WallTime now) {
  const auto body = read_small_body(exchange, kMaxBody, "the name of an image");
  if (!body) return tl::unexpected<Problem>(body.error());
  auto command = parse_arguments(CommandKind::Pull, *body, now, "");
  if (!command) {
    return tl::unexpected<Problem>(
        Problem{400, command.error().full() + R"(; send {"image":"<reference>"})"});
  }
  return std::move(command->image);
}

// A pull on a thread of its own, so that a client that reads slowly does not slow it down.
class RunningPull {
 public:
  RunningPull(runtime::Images& images, std::string reference, ShownPulls& shown, CancelToken cancel)
      : shown_(shown, reference),
        cancel_(std::move(cancel)),
        thread_([this, &images, reference = std::move(reference)] {
          name_this_thread("api-pull");
          run(images, reference);
        }) {}
  ~RunningPull() {
    cancel_.cancel();
    thread_.join();
  }
  RunningPull(const RunningPull&) = delete;
  RunningPull& operator=(const RunningPull&) = delete;

  // The newest progress, once there is news; none when the pull has ended.
  std::optional<runtime::PullProgress> next() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return news_ || result_; });
    news_ = false;
    if (result_) return std::nullopt;
    return progress_;
  }
  // Until the pull ends, at most `time`.
  void pause(Duration time) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, time, [this] { return result_.has_value(); });
  }
  const Result<runtime::Image>& result() const { return *result_; }  // after next() gave none
  bool ended_well() {
    const std::lock_guard lock(mutex_);
    return result_ && *result_;
  }

 private:
  void run(runtime::Images& images, const std::string& reference) {
    runtime::PullRequest request{reference};
    request.progress = [this](const runtime::PullProgress& progress) {
      shown_.progress(progress);
      const std::lock_guard lock(mutex_);
      progress_ = progress;
      news_ = true;
      changed_.notify_all();
    };
    auto result = images.pull(request, cancel_);
    const std::lock_guard lock(mutex_);
    result_ = std::move(result);
    changed_.notify_all();
  }

  ShownPulls::Entry shown_;
  CancelToken cancel_;
  std::mutex mutex_;
  std::condition_variable changed_;
  runtime::PullProgress progress_;
  bool news_ = false;
  std::optional<Result<runtime::Image>> result_;
  std::thread thread_;  // last: uses what is above
};

// What is wrong before there is anything to watch is told as every other problem.
void stream(RunningPull& pull, http::Exchange& exchange, const std::string& reference) {
  bool begun = false;
  const auto line = [&](const Json& json) {
    if (!begun && !exchange.begin(200, "application/x-ndjson")) return false;
    begun = true;
    return exchange.write(json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n")
        .has_value();
  };
  while (const auto progress = pull.next()) {
    const PullView view{reference, progress->done_bytes, progress->total_bytes,
                        progress->bytes_per_second};
    if (!line({{"progress", pull_json(view)}})) return;
    pull.pause(kLineEvery);
  }
  const auto& image = pull.result();
  if (!image && !begun) return exchange.respond(http::problem_from(image.error()));
  const Json last =
      image ? Json{{"image", image_json(*image)}}
            : Json{{"problem", Json::parse(http::to_json(http::problem_from(image.error())))}};
  if (line(last)) (void)exchange.finish();
}

}  // namespace

ShownPulls::Entry::Entry(ShownPulls& all, const std::string& image) : all_(all) {
  const std::lock_guard lock(all_.mutex_);
  place_ = all_.pulls_.insert(all_.pulls_.end(), PullView{image});
}

ShownPulls::Entry::~Entry() {
  const std::lock_guard lock(all_.mutex_);
  all_.pulls_.erase(place_);
}

void ShownPulls::Entry::progress(const runtime::PullProgress& progress) {
  const std::lock_guard lock(all_.mutex_);
  *place_ = {place_->image, progress.done_bytes, progress.total_bytes, progress.bytes_per_second};
}

std::vector<PullView> ShownPulls::list() const {
  const std::lock_guard lock(mutex_);
  return {pulls_.begin(), pulls_.end()};
}

void pull_image(HandlerContext& context, http::Exchange& exchange) {
  const auto reference = read_reference(exchange, context.deps.clock.wall());
  if (!reference) return exchange.respond(reference.error());
  const auto slot = context.pulls.take();
  if (!slot) {
    return exchange.respond(Problem{
        503, "other images are being pulled; try again", "TooManyPulls", {{"Retry-After", "10"}}});
  }
  const auto watch = context.watch(exchange);
  bool pulled = false;
  {
    RunningPull pull(context.deps.images, *reference, context.shown_pulls, exchange.cancel());
    stream(pull, exchange, *reference);
    pulled = pull.ended_well();
  }
  if (pulled) log_info("image pulled", {{"image", *reference}});
  if (context.deps.on_images_changed) context.deps.on_images_changed();
}

}  // namespace wherry
