#include "runtime/image/layer_board.h"

#include <algorithm>
#include <numeric>

namespace wherry::runtime {
namespace {

int64_t size_of(const std::vector<Descriptor>& layers) {
  return std::accumulate(layers.begin(), layers.end(), int64_t{0},
                         [](int64_t sum, const Descriptor& layer) { return sum + layer.size; });
}

}  // namespace

LayerBoard::LayerBoard(const std::vector<Descriptor>& layers, const PullPace& pace,
                       const std::atomic<int64_t>& received, const CancelToken& cancel)
    : layers_(layers),
      pace_(pace),
      received_(received),
      cancel_(cancel),
      there_(layers.size(), false),
      arriving_(layers.size(), false),
      fast_(size_of(layers) >= pace.large),
      wake_(cancel.on_cancel([this] {
        const std::lock_guard lock(mutex_);
        changed_.notify_all();
      })) {}

// What is there and could be unpacked, in bytes.
int64_t LayerBoard::ahead() const {
  int64_t there = 0;
  for (size_t i = unpacked_; i < layers_.size() && there_[i]; ++i) there += layers_[i].size;
  return there;
}

bool LayerBoard::is_arriving() const {
  return std::find(arriving_.begin(), arriving_.end(), true) != arriving_.end();
}

void LayerBoard::wait_for_use(std::unique_lock<std::mutex>& lock, bool first) {
  while (!is_over()) {
    if (!first && ahead() >= pace_.ahead) {
      changed_.wait(lock);
      continue;
    }
    if (!fast_ || !is_arriving()) return;
    const int64_t before = received_;
    const auto done = [this] { return is_over() || !is_arriving(); };
    if (changed_.wait_for(lock, pace_.window, done)) continue;
    if (ahead() == 0 && received_ - before < pace_.fast) fast_ = false;
  }
}

std::optional<size_t> LayerBoard::next(bool first) {
  std::unique_lock lock(mutex_);
  wait_for_use(lock, first);
  if (is_over()) return std::nullopt;
  arriving_[next_] = true;
  return next_++;
}

void LayerBoard::arrived(size_t layer) {
  const std::lock_guard lock(mutex_);
  arriving_[layer] = false;
  changed_.notify_all();
}

void LayerBoard::fetched(size_t layer) {
  const std::lock_guard lock(mutex_);
  there_[layer] = true;
  arriving_[layer] = false;
  changed_.notify_all();
}

void LayerBoard::failed(size_t layer, const Error& error) {
  const std::lock_guard lock(mutex_);
  arriving_[layer] = false;
  changed_.notify_all();
  if (!failure_) return;
  failure_ =
      fail(error, "layer " + std::to_string(layer + 1) + " of " + std::to_string(layers_.size()));
}

Result<bool> LayerBoard::wait_for(size_t layer, Duration patience) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, patience,
                    [&] { return there_[layer] || !failure_ || cancel_.cancelled(); });
  if (there_[layer]) return true;
  if (!failure_) return fail(failure_.error());
  if (cancel_.cancelled()) return fail(Code::Cancelled, "cancelled");
  return false;
}

void LayerBoard::unpacked(size_t layer) {
  const std::lock_guard lock(mutex_);
  unpacked_ = layer + 1;
  changed_.notify_all();
}

Status LayerBoard::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

}  // namespace wherry::runtime
