#pragma once
// Brings unpacked layers to the disk while the next ones are unpacked. Internal to
// runtime/containerd.

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/cancel.h"
#include "base/result.h"

namespace wherry::runtime {

// Thread-safe. A thread of its own goes on while there is something to sync, and no longer. One
// sync stands for all layers that were unpacked before it began, of whichever image.
class LayerSync {
 public:
  // A filesystem with layers on it that are not synced yet.
  struct Disk {
    std::function<Status()> sync;
    std::optional<Error> failed{};  // what is written there since it was opened may be lost
  };
  // Is called once the layer is on the disk, after those of the layers below it. Where it fails the
  // layer does not count.
  using Note = std::function<Status()>;

  LayerSync() = default;
  // Syncs first what is left.
  ~LayerSync();
  LayerSync(const LayerSync&) = delete;
  LayerSync& operator=(const LayerSync&) = delete;

  // What a layer is written to; to be had before the first byte of it is, so that no failure to
  // write goes unnoticed. All layers under way share one, and `open` makes it.
  std::shared_ptr<Disk> disk(const std::function<Disk()>& open);
  // The layer is unpacked over `parent`.
  void add(const std::string& chain_id, const std::string& parent, std::shared_ptr<Disk> disk,
           Note note);
  // Was it added, and is neither synced nor lost yet?
  bool is_pending(const std::string& chain_id);
  // Until it is not pending any more. Error: it, or what it is built on, may not be on the disk.
  // Cancelled where `cancel` ended the wait. Success also where it was never added.
  Status wait(const std::string& chain_id, const CancelToken& cancel);

 private:
  struct Layer {
    std::string chain_id;
    std::shared_ptr<Disk> disk;
    Note note;
  };

  bool has(const std::string& chain_id) const;
  bool begin();
  void work();
  static Status sync_one(const Layer& layer, std::map<Disk*, Status>& synced);
  void lose(const std::shared_ptr<Disk>& disk, const Error& error);

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Layer> pending_;         // in the order in which they were added
  std::map<std::string, Error> lost_;  // by chain id, until it is added anew
  std::weak_ptr<Disk> disk_;
  bool working_ = false;
  std::thread thread_;
};

}  // namespace wherry::runtime
