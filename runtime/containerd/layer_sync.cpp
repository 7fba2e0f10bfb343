#include "runtime/containerd/layer_sync.h"

#include <algorithm>
#include <system_error>

#include "base/executor.h"

namespace wherry::runtime {

LayerSync::~LayerSync() {
  if (thread_.joinable()) thread_.join();
}

std::shared_ptr<LayerSync::Disk> LayerSync::disk(const std::function<Disk()>& open) {
  const std::lock_guard lock(mutex_);
  std::shared_ptr<Disk> disk = disk_.lock();
  if (disk && !disk->failed) return disk;
  disk = std::make_shared<Disk>(open());
  disk_ = disk;
  return disk;
}

bool LayerSync::has(const std::string& chain_id) const {
  return std::any_of(pending_.begin(), pending_.end(),
                     [&](const Layer& layer) { return layer.chain_id == chain_id; });
}

void LayerSync::add(const std::string& chain_id, const std::string& parent,
                    std::shared_ptr<Disk> disk, Note note) {
  const std::lock_guard lock(mutex_);
  lost_.erase(chain_id);
  if (const auto below = lost_.find(parent); below != lost_.end()) {
    lost_.emplace(chain_id, below->second);
  } else if (disk->failed) {
    lost_.emplace(chain_id, *disk->failed);
  } else {
    pending_.push_back({chain_id, std::move(disk), std::move(note)});
    if (working_) return;
    if (thread_.joinable()) thread_.join();  // it is at its end
    try {
      thread_ = std::thread([this] {
        name_this_thread("layer-sync");
        work();
      });
      working_ = true;
    } catch (const std::system_error&) {  // who waits for the layer does the work
    }
  }
}

bool LayerSync::is_pending(const std::string& chain_id) {
  const std::lock_guard lock(mutex_);
  return has(chain_id);
}

Status LayerSync::wait(const std::string& chain_id, const CancelToken& cancel) {
  // Goes after the lock does: whoever cancels may be waiting for it.
  const auto wake = cancel.on_cancel([this] {
    const std::lock_guard lock(mutex_);
    changed_.notify_all();
  });
  std::unique_lock lock(mutex_);
  while (has(chain_id)) {
    if (cancel.cancelled()) return fail(Code::Cancelled, "cancelled");
    if (working_) {
      changed_.wait(lock);
      continue;
    }
    working_ = true;
    lock.unlock();
    work();
    lock.lock();
  }
  const auto lost = lost_.find(chain_id);
  if (lost == lost_.end()) return {};
  return fail(lost->second);
}

// What was added while a sync went on waits for the next.
void LayerSync::work() {
  std::unique_lock lock(mutex_);
  while (!pending_.empty()) {
    const std::vector<Layer> round = pending_;
    lock.unlock();
    std::map<Disk*, Status> synced;
    for (const Layer& layer : round) {
      Status there = sync_one(layer, synced);
      lock.lock();
      if (there) {
        std::erase_if(pending_, [&](const Layer& each) { return each.chain_id == layer.chain_id; });
      } else {
        lose(layer.disk, there.error());
      }
      lock.unlock();
      changed_.notify_all();
    }
    lock.lock();
  }
  working_ = false;
  changed_.notify_all();
}

Status LayerSync::sync_one(const Layer& layer, std::map<Disk*, Status>& synced) {
  Disk* const disk = layer.disk.get();
  const auto [known, first] = synced.try_emplace(disk);
  if (first) known->second = disk->sync();
  if (known->second) known->second = layer.note();
  return known->second;
}

// An error is told once, and not whose bytes it was about.
void LayerSync::lose(const std::shared_ptr<Disk>& disk, const Error& error) {
  disk->failed = error;
  std::erase_if(pending_, [&](const Layer& each) {
    if (each.disk != disk) return false;
    lost_.insert_or_assign(each.chain_id, error);
    return true;
  });
}

}  // namespace wherry::runtime
