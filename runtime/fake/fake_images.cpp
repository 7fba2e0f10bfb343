#include "runtime/fake/fake_images.h"

#include <chrono>
#include <filesystem>

#include "base/digest.h"

namespace wherry::runtime {
namespace {

std::string full_name(const std::string& reference) {
  if (reference.find('@') != std::string::npos) return reference;
  const size_t slash = reference.rfind('/');
  const size_t colon = reference.rfind(':');
  const bool tagged = colon != std::string::npos && (slash == std::string::npos || colon > slash);
  return tagged ? reference : reference + ":latest";
}

Result<std::string> checked_name(const std::string& reference) {
  if (reference.empty() || reference.find_first_of(" \t\n") != std::string::npos) {
    return fail(Code::InvalidArgument, "not an image reference: '" + reference + "'",
                "InvalidImageName");
  }
  return full_name(reference);
}

Image make_image(const std::string& name, const std::string& content) {
  return Image{name, sha256_digest(name + "\n" + content),
               static_cast<int64_t>(content.size()) + 1000};
}

}  // namespace

Result<Image> FakeImages::find(const std::string& reference) {
  const auto name = checked_name(reference);
  if (!name) return fail(name.error());
  const std::lock_guard lock(mutex_);
  const auto found = store_.find(*name);
  if (found == store_.end()) return fail(Code::NotFound, "image " + *name + " is not in the store");
  return found->second;
}

Result<Image> FakeImages::pull(const PullRequest& request, CancelToken cancel) {
  const auto name = checked_name(request.reference);
  if (!name) return fail(name.error());
  {
    const std::lock_guard lock(mutex_);
    ++pulls_[*name];
    credentials_[*name] = request.credentials;
    for (Failure& failure : failures_) {
      if (failure.times == 0 || (!failure.reference.empty() && failure.reference != *name)) {
        continue;
      }
      --failure.times;
      return fail(failure.error);
    }
  }
  if (const Status status = interrupted(*name, cancel); !status) return fail(status.error());
  Image image;
  {
    const std::lock_guard lock(mutex_);
    if (over_ > 0) return fail(Code::ResourceExhausted, "the disk is full", "InsufficientStorage");
    const auto found = registry_.find(*name);
    if (found == registry_.end()) {
      return fail(Code::NotFound, "no image " + *name + " in the registry", "ErrImagePull");
    }
    image = found->second;
    store_[*name] = image;
  }
  if (request.progress) request.progress(PullProgress{image.size, image.size});
  return image;
}

Status FakeImages::interrupted(const std::string& name, const CancelToken& cancel) {
  const auto wake = cancel.on_cancel([this] {
    const std::lock_guard lock(mutex_);
    changed_.notify_all();
  });
  std::unique_lock lock(mutex_);
  const auto hangs = [&] {
    const auto found = hanging_.find(name);
    return found != hanging_.end() && found->second;
  };
  if (hangs()) {
    ++waiting_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return !hangs() || cancel.cancelled(); });
    --waiting_;
  }
  lock.unlock();  // before `wake` goes: its callback takes the same lock
  if (cancel.cancelled()) return fail(Code::Cancelled, "pull of " + name + " cancelled");
  return {};
}

Result<std::vector<Image>> FakeImages::list() {
  const std::lock_guard lock(mutex_);
  std::vector<Image> images;
  for (const auto& [name, image] : store_) images.push_back(image);
  return images;
}

Result<std::vector<Image>> FakeImages::import_archive(const std::string& path, CancelToken cancel) {
  if (cancel.cancelled()) return fail(Code::Cancelled, "import cancelled");
  if (!std::filesystem::exists(path)) return fail(Code::NotFound, "no file " + path);
  Image image = add(std::filesystem::path(path).stem().string());
  image.imported = true;
  const std::lock_guard lock(mutex_);
  store_[image.name] = image;
  return std::vector<Image>{image};
}

Status FakeImages::remove(const std::string& reference) {
  const auto name = checked_name(reference);
  if (!name) return fail(name.error());
  const std::lock_guard lock(mutex_);
  store_.erase(*name);
  return {};
}

Result<PruneReport> FakeImages::prune(const PruneRequest& request, CancelToken cancel) {
  RemovableImages removable;
  {
    const std::lock_guard lock(mutex_);
    ++prunes_;
    removable = removable_;
  }
  PruneReport report;
  const auto all = removable ? removable() : std::vector<RemovableImage>();
  const std::lock_guard lock(mutex_);
  for (const auto& [name, digest] : all) {
    if (cancel.cancelled()) return fail(Code::Cancelled, "prune cancelled");
    const auto found = store_.find(name);
    const bool there = found != store_.end() && found->second.digest == digest;
    if (!there || !(request.all || over_ > 0)) continue;
    report.freed_bytes += found->second.size;
    report.removed.push_back(found->second);
    store_.erase(found);
    if (over_ > 0) --over_;
  }
  if (over_ == 0) report.fits = request.waiting;
  return report;
}

Image FakeImages::add(const std::string& reference, const std::string& content) {
  const Image image = make_image(full_name(reference), content);
  const std::lock_guard lock(mutex_);
  store_[image.name] = image;
  return image;
}

Image FakeImages::publish(const std::string& reference, const std::string& content) {
  const Image image = make_image(full_name(reference), content);
  const std::lock_guard lock(mutex_);
  registry_[image.name] = image;
  return image;
}

void FakeImages::alias(const Image& image, const std::string& reference, bool stored) {
  Image same = image;
  same.name = full_name(reference);
  const std::lock_guard lock(mutex_);
  registry_[same.name] = same;
  if (stored) store_[same.name] = same;
}

void FakeImages::fail_pull(Error error, size_t times, const std::string& reference) {
  const std::lock_guard lock(mutex_);
  failures_.push_back({reference.empty() ? "" : full_name(reference), std::move(error), times});
}

void FakeImages::hang_pull(const std::string& reference) {
  const std::lock_guard lock(mutex_);
  hanging_[full_name(reference)] = true;
}

Status FakeImages::drop_abandoned(const std::vector<std::string>& wanted) {
  const std::lock_guard lock(mutex_);
  dropped_.push_back(wanted);
  changed_.notify_all();
  return {};
}

bool FakeImages::wait_for_drops(size_t count) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::seconds(10),
                           [&] { return dropped_.size() >= count; });
}

std::vector<std::vector<std::string>> FakeImages::dropped() const {
  const std::lock_guard lock(mutex_);
  return dropped_;
}

void FakeImages::release_pulls() {
  const std::lock_guard lock(mutex_);
  hanging_.clear();
  changed_.notify_all();
}

bool FakeImages::wait_for_hanging_pulls(size_t count) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return waiting_ >= count; });
}

std::vector<RegistryCredential> FakeImages::credentials(const std::string& reference) const {
  const std::lock_guard lock(mutex_);
  const auto found = credentials_.find(full_name(reference));
  return found == credentials_.end() ? std::vector<RegistryCredential>() : found->second;
}

void FakeImages::set_removable(RemovableImages removable) {
  const std::lock_guard lock(mutex_);
  removable_ = std::move(removable);
}

void FakeImages::fill_disk(size_t images) {
  const std::lock_guard lock(mutex_);
  over_ = images;
}

size_t FakeImages::prunes() const {
  const std::lock_guard lock(mutex_);
  return prunes_;
}

size_t FakeImages::pulls(const std::string& reference) const {
  const std::lock_guard lock(mutex_);
  const auto found = pulls_.find(full_name(reference));
  return found == pulls_.end() ? 0 : found->second;
}

}  // namespace wherry::runtime
