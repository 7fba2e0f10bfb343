#pragma once
// An image store in memory that does what a test tells it. Thread-safe.

#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "runtime/runtime.h"

namespace wherry::runtime {

// References are compared as written, but for a missing tag, which means ":latest".
class FakeImages final : public Images {
 public:
  Result<Image> find(const std::string& reference) override;
  // Succeeds for what publish() made known, fails with ErrImagePull for everything else.
  Result<Image> pull(const PullRequest& request, CancelToken cancel) override;
  Result<std::vector<Image>> list() override;
  // Takes the file's name without directory and extension as the image's name.
  Result<std::vector<Image>> import_archive(const std::string& path, CancelToken cancel) override;
  Status remove(const std::string& reference) override;
  Status drop_abandoned(const std::vector<std::string>& wanted) override;
  // With `all`, or while fill_disk() holds, removes what set_removable() names. Every waiting
  // reference fits unless the disk is full.
  Result<PruneReport> prune(const PruneRequest& request, CancelToken cancel) override;

  // --- what the test controls
  // In the store from now on. The digest is made from `content`, so other content is another image.
  Image add(const std::string& reference, const std::string& content = "1");
  // In the registry from now on: pull() finds it.
  Image publish(const std::string& reference, const std::string& content = "1");
  // The same image under another reference: in the registry, and in the store where `stored`.
  void alias(const Image& image, const std::string& reference, bool stored);
  // The next `times` pulls of `reference` (empty: of any) fail.
  void fail_pull(Error error, size_t times = 1, const std::string& reference = "");
  // Pulls of `reference` wait until release_pulls() or until they are cancelled.
  void hang_pull(const std::string& reference);
  void release_pulls();
  // Waits until `count` pulls hang; false after ten seconds.
  [[nodiscard]] bool wait_for_hanging_pulls(size_t count);
  size_t pulls(const std::string& reference) const;  // begun so far
  // What each drop_abandoned() was told to keep.
  std::vector<std::vector<std::string>> dropped() const;
  // Waits until there were so many calls; false after ten seconds.
  [[nodiscard]] bool wait_for_drops(size_t count);
  // Handed to the latest pull.
  std::vector<RegistryCredential> credentials(const std::string& reference) const;
  void set_removable(RemovableImages removable);
  // Pulls fail with InsufficientStorage until `images` have been removed by prune(); 0: it is free.
  void fill_disk(size_t images);
  size_t prunes() const;  // calls so far

 private:
  struct Failure {
    std::string reference;
    Error error;
    size_t times;
  };
  Status interrupted(const std::string& name, const CancelToken& cancel);

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, Image> store_;
  std::map<std::string, Image> registry_;
  std::vector<Failure> failures_;
  std::map<std::string, bool> hanging_;  // reference -> hangs
  std::map<std::string, size_t> pulls_;
  std::map<std::string, std::vector<RegistryCredential>> credentials_;
  size_t waiting_ = 0;
  std::vector<std::vector<std::string>> dropped_;
  RemovableImages removable_;
  size_t over_ = 0;  // images to be removed until the disk is no longer full
  size_t prunes_ = 0;
};

}  // namespace wherry::runtime
