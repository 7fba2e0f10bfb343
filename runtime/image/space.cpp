#include "runtime/image/space.h"

#include <algorithm>
#include <cstdint>
#include <set>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/quantity.h"

namespace wherry::runtime {
namespace {

constexpr const char* kReason = "InsufficientStorage";
// Text and programs compress to a half or a third, what is compressed already not at all. Too much
// here keeps an image away that would fit; too little is noticed before the layer is unpacked.
constexpr int64_t kCompression = 2;
// Where a disk was full and nothing more is known.
constexpr int64_t kSomething = 4 << 20;

bool has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// Adds `path` to the filesystem it lies on.
void add(std::vector<Filesystem>& disks, std::vector<dev_t>& devices, const std::string& path,
         bool content) {
  struct stat info {};
  struct statvfs numbers {};
  if (path.empty() || stat(path.c_str(), &info) != 0) return;
  const auto known = std::find(devices.begin(), devices.end(), info.st_dev);
  if (known != devices.end()) {
    Filesystem& disk = disks[static_cast<size_t>(known - devices.begin())];
    disk.snapshots = true;
    disk.holds = "containerd's content and snapshots";
    return;
  }
  if (statvfs(path.c_str(), &numbers) != 0 || numbers.f_blocks == 0) return;
  const auto unit = static_cast<int64_t>(numbers.f_frsize);
  Filesystem disk;
  disk.path = path;
  disk.holds = content ? "containerd's content" : "containerd's snapshots";
  disk.content = content;
  disk.snapshots = !content;
  disk.total = static_cast<int64_t>(numbers.f_blocks) * unit;
  disk.used = static_cast<int64_t>(numbers.f_blocks - numbers.f_bfree) * unit;
  disk.free = static_cast<int64_t>(numbers.f_bavail) * unit;
  disks.push_back(std::move(disk));
  devices.push_back(info.st_dev);
}

}  // namespace

double Filesystem::percent() const {
  const int64_t usable = used + free;
  return usable <= 0 ? 100 : 100.0 * static_cast<double>(used) / static_cast<double>(usable);
}

int64_t unpacked_estimate(ImageBackend& backend, const Descriptor& layer, bool in_store) {
  if (!layer.file.empty()) return layer.size;
  const bool gzip = has(layer.media_type, "gzip");
  if (!gzip && !has(layer.media_type, "zstd")) return layer.size;
  if (gzip && in_store && layer.size > 18) {
    // RFC 1952: the last four bytes are the size modulo 2^32, of the last member.
    const auto end = backend.read_blob(layer.digest, layer.size - 4, 4);
    if (end && end->size() == 4) {
      int64_t size = 0;
      for (size_t i = 4; i-- > 0;) size = size << 8 | static_cast<unsigned char>((*end)[i]);
      if (size >= layer.size - layer.size / 8) return size;
    }
  }
  return layer.size * kCompression;
}

int64_t free_of(const std::vector<Filesystem>& disks) {
  int64_t sum = 0;
  for (const Filesystem& disk : disks) sum += disk.free;
  return sum;
}

namespace {

// Adds what one needs, but for what was `counted` already: digests and chain ids.
Status add_need(ImageBackend& backend, StoreFacts& facts, const ImageLayout& layout,
                std::set<std::string>& counted, SpaceNeed& need) {
  for (size_t i = 0; i < layout.content.layers.size(); ++i) {
    const Descriptor& layer = layout.content.layers[i];
    const auto blob = backend.stat_blob(layer.digest);
    if (!blob && blob.error().code() != Code::NotFound) return fail(blob.error());
    if (!blob && counted.insert(layer.digest).second) {
      const auto held = facts.ingested(ingest_name("layer", layer.digest));
      if (!held) return fail(held.error());
      need.content += std::max<int64_t>(0, layer.size - *held);
    }
    if (i >= layout.chains.size() || !counted.insert("chain " + layout.chains[i]).second) continue;
    const auto unpacked = backend.has_snapshot(layout.chains[i]);
    if (!unpacked) return fail(unpacked.error());
    if (!*unpacked) need.snapshots += unpacked_estimate(backend, layer, blob.has_value());
  }
  return {};
}

}  // namespace

Result<SpaceNeed> space_needed_besides(ImageBackend& backend, StoreFacts& facts,
                                       const ImageLayout& layout, std::set<std::string>& counted) {
  SpaceNeed need;
  if (Status added = add_need(backend, facts, layout, counted, need); !added) {
    return fail(added.error());
  }
  return need;
}

Result<SpaceNeed> space_needed(ImageBackend& backend, StoreFacts& facts,
                               const ImageLayout& layout) {
  std::set<std::string> counted;
  return space_needed_besides(backend, facts, layout, counted);
}

// Not by its words: they may be a registry's, about a disk of its own.
bool is_disk_full(const Error& error) { return error.reason() == kDiskFull; }

std::vector<Filesystem> DiskSpace::filesystems() {
  std::vector<Filesystem> disks;
  if (facts_ == nullptr) return disks;
  const auto places = facts_->places();
  if (!places) return disks;
  std::vector<dev_t> devices;
  add(disks, devices, places->content, true);
  add(disks, devices, places->snapshots, false);
  return disks;
}

const Filesystem* DiskSpace::short_of(const std::vector<Filesystem>& disks, const Claim& claim,
                                      const SpaceNeed& freed) const {
  const auto found = std::find_if(disks.begin(), disks.end(), [&](const Filesystem& disk) {
    const int64_t share = disk.share(claim.own);
    const int64_t free = disk.free + disk.share(freed) - reserve_;
    return share > 0 && free < share + disk.share(claim.before);
  });
  return found == disks.end() ? nullptr : &*found;
}

namespace {

// Where the estimate was wrong.
std::string too_little(const Filesystem& disk) {
  return " needs more than the " + format_bytes(disk.free) +
         " that are free on the filesystem of " + disk.path + " (" + disk.holds +
         "); free some space, or remove images with wherry images prune";
}

}  // namespace

Error DiskSpace::refusal(const std::string& what, const Filesystem& disk,
                         const Claim& claim) const {
  const int64_t before = disk.share(claim.before);
  const std::string promised =
      before > 0 ? ", " + format_bytes(before) + " of them wanted by pulls under way" : "";
  return Error(Code::ResourceExhausted,
               what + " needs about " + format_bytes(disk.share(claim.own)) +
                   " on the filesystem of " + disk.path + " (" + disk.holds + "), which has " +
                   format_bytes(disk.free) + " free" + promised + ", and " +
                   format_bytes(reserve_) +
                   " of them are kept free (storage.reserve); free some space, or remove images " +
                   "with wherry images prune",
               kReason);
}

Status DiskSpace::check(const std::string& what, const Claim& claim, const CancelToken& cancel) {
  if (short_of(filesystems(), claim) == nullptr) return {};
  const auto enough = [&](const SpaceNeed& freed) {
    return short_of(filesystems(), claim, freed) == nullptr;
  };
  if (make_room_) make_room_(enough, cancel);
  if (cancel.cancelled()) return fail(Code::Cancelled, "cancelled");
  const auto disks = filesystems();
  const Filesystem* disk = short_of(disks, claim);
  if (disk == nullptr) return {};
  return fail(refusal(what, *disk, claim));
}

Result<DiskSpace::Claim> DiskSpace::claim(const ImageLayout& layout, uint64_t turn) {
  std::vector<ImageLayout> layouts;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [name, other] : cases_) {
      if (!other.refused && other.turn != 0 && other.turn < turn) layouts.push_back(other.layout);
    }
  }
  Claim claimed;
  std::set<std::string> counted;  // what two of them share is counted once
  Status added = add_need(backend_, *facts_, layout, counted, claimed.own);
  for (const ImageLayout& other : layouts) {
    if (added) added = add_need(backend_, *facts_, other, counted, claimed.before);
  }
  if (!added) return fail(added.error());
  return claimed;
}

void DiskSpace::begin(const std::string& name) {
  const std::lock_guard lock(mutex_);
  ++cases_[name].users;
}

Status DiskSpace::before_fetch(const std::string& name, const ImageLayout& layout,
                               const CancelToken& cancel) {
  if (facts_ == nullptr) return {};
  uint64_t turn = 0;
  {
    const std::lock_guard lock(mutex_);
    turn = ++turns_;
    Case& mine = cases_[name];
    // A second pull of this image needs nothing more: the first one's turn is theirs.
    if (mine.users > 1 && mine.turn != 0 && !mine.refused) turn = mine.turn;
    mine = {layout, turn, mine.users};
  }
  const auto claimed = claim(layout, turn);
  if (!claimed) return fail(claimed.error());
  return check("image " + name, *claimed, cancel);
}

Status DiskSpace::before_unpack(const Descriptor& layer, const CancelToken& cancel) {
  if (facts_ == nullptr) return {};
  return check("unpacking layer " + layer.digest,
               {{0, unpacked_estimate(backend_, layer, true)}, {}}, cancel);
}

Error DiskSpace::settle(const std::string& name, const Error& error) {
  const bool full = is_disk_full(error);
  if (facts_ == nullptr || (!full && error.reason() != kReason)) {
    done(name);
    return full ? error.with_reason(kReason) : error;
  }
  ImageLayout layout;
  {
    const std::lock_guard lock(mutex_);
    cases_[name].users = std::max(0, cases_[name].users - 1);
    cases_[name].refused = true;
    layout = cases_[name].layout;
  }
  if (!full) return error;
  SpaceNeed need = space_needed(backend_, *facts_, layout).value_or(SpaceNeed{});
  need.content += kSomething;
  need.snapshots += kSomething;
  const Claim wanted{need, {}};
  // What was unpacked when the disk became full is gone again.
  const auto disks = filesystems();
  {
    const std::lock_guard lock(mutex_);
    cases_[name].free_then = free_of(disks) + kSomething;
  }
  if (disks.empty()) return error.with_reason(kReason);
  const std::string what = "the disk became full: image " + name;
  const Filesystem* disk = short_of(disks, wanted);
  const std::string told =
      disk != nullptr ? refusal(what, *disk, wanted).message() : what + too_little(disks.back());
  return Error(Code::ResourceExhausted, told + " (" + error.full() + ")", kReason);
}

void DiskSpace::done(const std::string& name) {
  const std::lock_guard lock(mutex_);
  const auto found = cases_.find(name);
  if (found == cases_.end() || --found->second.users > 0) return;
  cases_.erase(found);
}

void DiskSpace::forget(const std::string& name) {
  const std::lock_guard lock(mutex_);
  const auto found = cases_.find(name);
  if (found != cases_.end() && found->second.users <= 0) cases_.erase(found);
}

void DiskSpace::forget_all_but(const std::vector<std::string>& names) {
  const std::lock_guard lock(mutex_);
  std::erase_if(cases_, [&](const auto& entry) {
    return entry.second.refused && entry.second.users <= 0 &&
           std::find(names.begin(), names.end(), entry.first) == names.end();
  });
}

bool DiskSpace::fits(const std::string& name, const SpaceNeed& freed) {
  Case refused;
  {
    const std::lock_guard lock(mutex_);
    const auto found = cases_.find(name);
    if (found == cases_.end() || !found->second.refused || facts_ == nullptr) return true;
    refused = found->second;
  }
  auto claimed = claim(refused.layout, UINT64_MAX);
  if (!claimed) return false;
  claimed->own.content += kSomething;
  claimed->own.snapshots += kSomething;
  const auto disks = filesystems();
  int64_t free = 0;
  for (const Filesystem& disk : disks) free += disk.free + disk.share(freed);
  return short_of(disks, *claimed, freed) == nullptr && free >= refused.free_then;
}

}  // namespace wherry::runtime
