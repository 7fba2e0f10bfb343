#include "agent/reconcile/document_desk.h"

#include <algorithm>
#include <tuple>

#include "agent/manifest/objects.h"
#include "base/digest.h"
#include "base/failpoint.h"
#include "base/log.h"

namespace wherry {
namespace {

constexpr Duration kStoreRetry = std::chrono::seconds(10);
constexpr Duration kTellAgain = std::chrono::minutes(1);

std::string summary(const std::vector<Finding>& errors) {
  if (errors.empty()) return {};
  std::string text = errors.front().path.empty() ? "" : errors.front().path + ": ";
  text += errors.front().message;
  if (errors.size() > 1) text += " (and " + std::to_string(errors.size() - 1) + " more)";
  return text;
}

}  // namespace

DocumentDesk::DocumentDesk(std::vector<std::string> sources, DeviceFacts facts, Records& records,
                           const Clock& clock, SignatureOptions signatures)
    : facts_(std::move(facts)),
      records_(records),
      clock_(clock),
      signatures_(signatures),
      local_signatures_({false, signatures.keys_dir}) {
  for (std::string& source : sources) {
    slots_.emplace_back();
    slots_.back().source = std::move(source);
  }
}

Status DocumentDesk::load() {
  const auto stored = records_.documents();
  if (!stored) return store_status_ = fail(stored.error(), "read the accepted documents");
  for (const StoredDocument& document : *stored) {
    Slot* slot = find(document.source);
    const bool left = document.payload.empty();
    if (slot == nullptr && !left) {
      log_info("document forgotten: its source is no longer configured",
               {{"source", document.source}});
      if (Status done = records_.leave_document(document.source); !done) store_status_ = done;
    } else if (slot != nullptr && left) {
      slot->left_revision = document.revision;
      slot->left_content = document.digest;
    }
    if (slot == nullptr || left) continue;
    slot->revision = document.revision;
    slot->digest = document.digest;
    slot->content = sha256_digest(document.payload);
    Document parsed = parse_desired_state(document.payload);
    if (parsed.valid()) {
      parsed.digest = document.digest;  // of what was signed, where it was
      slot->document = std::move(parsed);
    } else {
      slot->errors = std::move(parsed.errors);
      log_error("an accepted document is not readable any more; what runs of it is left as it is",
                {{"source", document.source}, {"error", summary(slot->errors)}});
    }
  }
  take(merge_with({}, manifests_));
  return store_status_;
}

DocumentDesk::Slot* DocumentDesk::find(const std::string& source) {
  const auto found = std::find_if(slots_.begin(), slots_.end(),
                                  [&](const Slot& slot) { return slot.source == source; });
  return found == slots_.end() ? nullptr : &*found;
}

const DocumentDesk::Slot* DocumentDesk::find(const std::string& source) const {
  const auto found = std::find_if(slots_.begin(), slots_.end(),
                                  [&](const Slot& slot) { return slot.source == source; });
  return found == slots_.end() ? nullptr : &*found;
}

bool DocumentDesk::receive(const std::string& source, const std::string& payload) {
  Slot* slot = find(source);
  if (slot == nullptr || payload.empty()) return false;
  const std::string digest = sha256_digest(payload);
  if (digest == slot->digest) {
    take_back(*slot);
    return false;
  }
  if (digest == slot->rejected_digest) return false;
  auto opened = signatures_.open(payload, kMaxDocumentBytes);
  if (!opened) {
    slot->waiting.reset();
    // The same bytes may be good later, once the device has the key.
    reject(*slot, 0, "", {{"", opened.error().full()}});
    slot->rejected->unbelieved = true;
    return false;
  }
  if (sha256_digest(opened->content) == slot->content) {  // signed anew, or not signed before
    take_back(*slot);
    return false;
  }
  Document document = parse_desired_state(opened->content);
  if (document.valid()) document.errors = refusals(*slot, document, *opened);
  if (!document.valid()) {
    slot->waiting.reset();
    // With a time limit in it the same bytes may be good later, once the clock is right.
    const std::string same = document.expires ? std::string() : digest;
    reject(*slot, document.revision, same, std::move(document.errors));
    return false;
  }
  document.digest = digest;
  slot->waiting = Candidate{std::move(document), std::move(opened->content)};
  return settle();
}

// The accepted one came again: nothing else is asked for any more.
void DocumentDesk::take_back(Slot& slot) {
  slot.rejected.reset();
  slot.rejected_digest.clear();
  slot.waiting.reset();
}

std::vector<Finding> DocumentDesk::refusals(const Slot& slot, const Document& document,
                                            const Opened& opened) const {
  std::vector<Finding> errors;
  const bool is_signed = !opened.kid.empty();
  const std::string& target = target_of(slot);
  if (is_signed && document.target.empty()) {
    errors.push_back({"metadata.target", "is missing: a signed document says whom it is for (" +
                                             target + "), or it could be sent to any device"});
  }
  const bool local = slot.source == kLocalSource;
  const bool for_us = document.target == target || (local && document.target == local_target());
  if (!document.target.empty() && !for_us) {
    errors.push_back(
        {"metadata.target",
         "is for " + document.target +
             (local ? ", but this device is " + target + ": apply it there"
                    : ", but came on the topic of " + target + ": publish it on its own topic")});
  }
  if (document.expires && *document.expires < clock_.wall()) {
    errors.push_back({"metadata.expires", "expired at " + to_rfc3339(*document.expires) +
                                              ": publish it anew with a later time, or set the "
                                              "device's clock"});
  }
  if (document.revision == slot.revision) {
    errors.push_back(
        {"metadata.revision", "stale: revision " + std::to_string(slot.revision) +
                                  " was accepted with other content; give a greater one"});
  } else if (document.revision < slot.revision) {
    errors.push_back({"metadata.revision", "stale: revision " + std::to_string(slot.revision) +
                                               " is accepted already; give a greater one"});
  } else if (document.revision < slot.left_revision ||
             (document.revision == slot.left_revision &&
              sha256_digest(opened.content) != slot.left_content)) {
    errors.push_back({"metadata.revision", "stale: revision " + std::to_string(slot.left_revision) +
                                               " was accepted before the device left " +
                                               slot.source + "; give a greater one"});
  }
  return errors;
}

Merged DocumentDesk::merge_with(const Overrides& overrides,
                                const std::vector<Document>& manifests) const {
  std::vector<Source> sources;
  sources.reserve(manifests.size() + slots_.size());
  for (const Document& document : manifests) sources.push_back({kManifestsSource, &document});
  for (const Slot& slot : slots_) {
    const auto other = overrides.find(slot.source);
    if (other != overrides.end()) {
      sources.push_back({slot.source, other->second});
    } else if (slot.document) {
      sources.push_back({slot.source, &*slot.document});
    }
  }
  return merge(sources, facts_);
}

void DocumentDesk::take(Merged merged) {
  merged_ = std::move(merged);
  for (const Document& document : manifests_) secrets_.add_secrets(document);
  for (const Slot& slot : slots_) {
    if (slot.document) secrets_.add_secrets(*slot.document);
  }
  left_out_.clear();
  if (merged_.not_here.empty()) return;
  const auto note = [this](const std::string& source, const Document& document) {
    for (const auto& [name, why] : merge({{source, &document}}, facts_).not_here) {
      std::string message = "workload \"";
      message.append(name).append("\" is not for this device: ").append(why);
      left_out_[source].push_back({"", std::move(message), 0, 0});
    }
  };
  for (const Document& document : manifests_) note(kManifestsSource, document);
  for (const Slot& slot : slots_) {
    if (slot.document) note(slot.source, *slot.document);
  }
}

// What was wrong before is not the fault of what is new.
std::vector<Finding> DocumentDesk::new_errors(const Merged& merged) const {
  std::vector<Finding> errors;
  for (const Finding& error : merged.errors) {
    const bool known =
        std::any_of(merged_.errors.begin(), merged_.errors.end(), [&](const Finding& old) {
          return std::tie(old.path, old.message) == std::tie(error.path, error.message);
        });
    if (!known) errors.push_back(error);
  }
  return errors;
}

// Accepts what can be accepted of what waits; one may make room for the next.
bool DocumentDesk::settle() {
  bool changed = false;
  retry_at_.reset();
  for (bool progress = true; progress;) {
    progress = false;
    for (Slot& slot : slots_) {
      if (slot.waiting && try_waiting(slot)) progress = changed = true;
    }
  }
  return try_all_waiting() || changed;
}

bool DocumentDesk::try_waiting(Slot& slot) {
  Merged merged = merge_with({{slot.source, &slot.waiting->document}}, manifests_);
  std::vector<Finding> errors = new_errors(merged);
  if (!errors.empty()) {
    reject(slot, slot.waiting->document.revision, slot.waiting->document.digest, std::move(errors));
    return false;
  }
  if (!commit(slot)) return false;
  take(std::move(merged));
  return true;
}

// Each may be wrong alone and right with the others.
bool DocumentDesk::try_all_waiting() {
  Overrides overrides;
  for (const Slot& slot : slots_) {
    if (slot.waiting) overrides[slot.source] = &slot.waiting->document;
  }
  if (overrides.size() < 2 || retry_at_) return false;
  Merged merged = merge_with(overrides, manifests_);
  if (!new_errors(merged).empty()) return false;
  bool all = true;
  for (Slot& slot : slots_) all = (!slot.waiting || commit(slot)) && all;
  take(all ? std::move(merged) : merge_with({}, manifests_));
  return true;
}

bool DocumentDesk::commit(Slot& slot) {
  const uint64_t revision = slot.waiting->document.revision;
  const std::string digest = slot.waiting->document.digest;
  if (Status stored = store(slot); !stored) {
    const Error error = stored.error().wrap(
        "the document cannot be stored, so it is not "
        "accepted; it is tried again");
    reject(slot, revision, digest, {{"", error.full()}});
    retry_at_ = clock_.now() + kStoreRetry;
    return false;
  }
  return true;
}

// What waits becomes what is accepted, or stays as it is.
Status DocumentDesk::store(Slot& slot) {
  Candidate& candidate = *slot.waiting;
  const uint64_t revision = candidate.document.revision;
  StoredDocument stored{slot.source, revision, candidate.document.digest,
                        std::move(candidate.payload), clock_.wall()};
  EventRecord event;
  event.at = stored.accepted_at;
  event.type = "Normal";
  event.reason = "DocumentAccepted";
  event.message = "revision " + std::to_string(revision) + " of " + slot.source + " accepted";
  event.revision = revision;
  store_status_ = failpoint("reconcile.before-accept");
  if (store_status_) store_status_ = records_.save_document(stored, {event});
  if (store_status_) store_status_ = failpoint("reconcile.after-accept");
  if (!store_status_) {
    candidate.payload = std::move(stored.payload);
    return store_status_;
  }
  if (slot.revision != 0) superseded_.emplace(slot.source, slot.revision);
  slot.document = std::move(candidate.document);
  slot.revision = revision;
  slot.digest = slot.document->digest;
  slot.content = sha256_digest(stored.payload);
  slot.errors.clear();
  take_back(slot);
  log_info("document accepted", {{"source", slot.source}, {"revision", std::to_string(revision)}});
  return {};
}

void DocumentDesk::reject(Slot& slot, uint64_t revision, const std::string& digest,
                          std::vector<Finding> errors) {
  const std::string text = summary(errors);
  const bool again =
      slot.rejected && slot.rejected_digest == digest && summary(slot.rejected->errors) == text;
  slot.rejected = DesiredView::Rejected{revision, std::move(errors)};
  slot.rejected_digest = digest;
  if (again) return;
  // What was not signed by anybody who is trusted costs its sender nothing, and differs each time.
  const MonoTime now = clock_.now();
  if (digest.empty() && now < slot.not_told_before) return;
  if (digest.empty()) slot.not_told_before = now + kTellAgain;
  log_warn("document rejected",
           {{"source", slot.source}, {"revision", std::to_string(revision)}, {"error", text}});
  EventRecord event;
  event.at = clock_.wall();
  event.type = "Warning";
  event.reason = "DocumentRejected";
  // What came of the merge names the source itself.
  event.message = text.starts_with(slot.source + ":") ? text : slot.source + ": " + text;
  event.revision = revision;
  events_.push_back(std::move(event));
}

bool DocumentDesk::retry() {
  if (!retry_at_ || *retry_at_ > clock_.now()) return false;
  return settle();
}

bool DocumentDesk::take_manifests(const LocalManifests& manifests) {
  manifest_errors_.clear();
  manifest_warnings_.clear();
  if (!manifests.error.empty()) {
    manifest_errors_.push_back({"", manifests.error});
    return false;
  }
  std::string digests;
  bool all_good = true;
  std::map<std::string, Document> good;
  for (const LocalManifest& file : manifests.files) {
    Document document = parse_local_manifest(file.payload, file.file);
    const auto with_file = [&](std::vector<Finding>& findings, std::vector<Finding>& into) {
      for (Finding& finding : findings) {
        finding.path = finding.path.empty() ? file.file : file.file + ":" + finding.path;
        into.push_back(std::move(finding));
      }
    };
    with_file(document.warnings, manifest_warnings_);
    if (document.valid()) {
      digests.append(file.file).append(1, ' ').append(sha256_hex(file.payload)).append(1, '\n');
      good.emplace(file.file, std::move(document));
      continue;
    }
    with_file(document.errors, manifest_errors_);
    const auto last = good_files_.find(file.file);
    if (last == good_files_.end()) {
      all_good = false;  // nobody knows what it wanted
    } else {
      good.insert(*last);
    }
  }
  std::vector<Document> documents;
  documents.reserve(good.size());
  ObjectsOfFiles objects;
  for (const auto& [file, document] : good) {
    documents.push_back(document);
    for (Finding& warning : objects.add(file, document)) {
      warning.path = file;
      manifest_warnings_.push_back(std::move(warning));
    }
  }
  Merged merged = merge_with({}, documents);
  std::vector<Finding> conflicts = new_errors(merged);
  if (!conflicts.empty()) {
    std::move(conflicts.begin(), conflicts.end(), std::back_inserter(manifest_errors_));
    log_error("local manifests not taken", {{"error", summary(manifest_errors_)}});
    return false;
  }
  if (!manifest_errors_.empty()) {
    log_error("local manifests with errors; the last good ones are kept",
              {{"error", summary(manifest_errors_)}});
  }
  good_files_ = std::move(good);
  manifests_ = std::move(documents);
  manifests_digest_ = digests.empty() ? "" : sha256_digest(digests);
  manifests_held_ = !all_good;
  take(std::move(merged));
  settle();
  return true;
}

std::set<std::string> DocumentDesk::held_sources() const {
  std::set<std::string> held;
  const bool conflict = !merged_.errors.empty();
  for (const Slot& slot : slots_) {
    if (!slot.document || conflict) held.insert(slot.source);
  }
  if (manifests_held_ || conflict) held.insert(kManifestsSource);
  return held;
}

std::set<std::string> DocumentDesk::unread_sources() const {
  std::set<std::string> unread = held_sources();
  if (!store_status_) return unread;
  for (const Slot& slot : slots_) {
    const bool never = !slot.document && slot.errors.empty();
    if (never && merged_.errors.empty()) unread.erase(slot.source);
  }
  return unread;
}

std::vector<DesiredView> DocumentDesk::views() const {
  std::vector<DesiredView> views;
  const auto add_left_out = [this](DesiredView& view) {
    const auto found = left_out_.find(view.source);
    if (found == left_out_.end()) return;
    view.warnings.insert(view.warnings.end(), found->second.begin(), found->second.end());
  };
  const auto add_merged = [this](DesiredView& view) {
    for (const Finding& warning : merged_.warnings) {
      const bool own = warning.path.starts_with(view.source + ":") ||
                       warning.path.starts_with(view.source + "/");
      if (own) view.warnings.push_back(warning);
    }
  };
  if (!manifests_.empty() || !manifest_errors_.empty()) {
    DesiredView view;
    view.source = kManifestsSource;
    view.digest = manifests_digest_;
    view.errors = manifest_errors_;
    view.warnings = manifest_warnings_;
    add_left_out(view);
    add_merged(view);
    views.push_back(std::move(view));
  }
  for (const Slot& slot : slots_) {
    if (slot.digest.empty() && !slot.rejected) continue;
    DesiredView view;
    view.source = slot.source;
    view.revision = slot.revision;
    view.digest = slot.digest;
    view.errors = slot.errors;
    if (slot.document) view.warnings = slot.document->warnings;
    add_left_out(view);
    add_merged(view);
    view.rejected = slot.rejected;
    for (const Finding& error : merged_.errors) {
      if (error.path.starts_with(slot.source + ":")) view.errors.push_back(error);
    }
    views.push_back(std::move(view));
  }
  return views;
}

}  // namespace wherry
