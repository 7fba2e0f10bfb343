// Documents that are applied at the device itself, or only looked at.

#include <algorithm>
#include <utility>

#include "agent/manifest/objects.h"
#include "agent/reconcile/document_desk.h"
#include "base/digest.h"
#include "base/log.h"

namespace wherry {

bool DocumentDesk::has(const std::string& source) const { return find(source) != nullptr; }

std::vector<std::string> DocumentDesk::source_names() const {
  std::vector<std::string> names;
  for (const Slot& slot : slots_) names.push_back(slot.source);
  return names;
}

// Whom a document of this source is for. What is applied at the device is for the device.
const std::string& DocumentDesk::target_of(const Slot& slot) const {
  return slot.source == kLocalSource ? slots_.back().source : slot.source;
}

// What is signed for a topic of the fleet is there for all to read: who has it may not be able to
// apply it once more, as a document of another source with revisions of its own.
std::string DocumentDesk::local_target() const {
  const std::string& device = slots_.back().source;
  return std::string(kLocalSource) + device.substr(device.find('/'));
}

std::vector<Finding> DocumentDesk::overruled(const Slot& slot, const Document& document) const {
  std::vector<Finding> all;
  const std::vector<ObjectName> own = objects_of(document);
  for (const Slot* other = &slot + 1; other < slots_.data() + slots_.size(); ++other) {
    if (!other->document) continue;
    for (const ObjectName& object : objects_of(*other->document)) {
      const bool both = std::any_of(own.begin(), own.end(), [&](const ObjectName& each) {
        return each.kind == object.kind && each.name == object.name;
      });
      if (!both) continue;
      all.push_back({"", object.kind + "/" + object.name + " of this document does not count: " +
                             other->source + " has one, too, and comes after " + slot.source});
    }
  }
  return all;
}

DocumentDesk::Considered DocumentDesk::consider(const std::string& source,
                                                const std::string& payload,
                                                bool needs_signature) const {
  const Slot& slot = *find(source);
  Considered considered;
  const std::string digest = sha256_digest(payload);
  const auto known = [&] {
    considered.document = *slot.document;
    considered.known = true;
    considered.merged = merged_;
    considered.overruled = overruled(slot, *slot.document);
    return considered;
  };
  if (digest == slot.digest && slot.document) return known();
  considered.document.digest = digest;
  const Signatures& signatures = needs_signature ? signatures_ : local_signatures_;
  auto opened = signatures.open(payload, kMaxDocumentBytes);
  if (!opened) {
    considered.document.errors = {{"", opened.error().full()}};
    return considered;
  }
  if (slot.document && sha256_digest(opened->content) == slot.content) return known();
  Document& document = considered.document = parse_desired_state(opened->content);
  document.digest = digest;
  if (document.valid()) document.errors = refusals(slot, document, *opened);
  considered.content = std::move(opened->content);
  const bool strict = source == kLocalSource && needs_signature && signatures_.required();
  if (document.valid() && strict && document.target != local_target()) {
    document.errors.push_back({"metadata.target", "is for " + document.target +
                                                      ", but came over the network to the device: "
                                                      "sign it for " +
                                                      local_target()});
  }
  if (!document.valid()) return considered;
  considered.merged = merge_with({{source, &document}}, manifests_);
  considered.overruled = overruled(slot, document);
  document.errors = new_errors(considered.merged);
  for (Finding& error : document.errors) {
    if (error.path.starts_with(source + ":")) error.path.erase(0, source.size() + 1);
  }
  return considered;
}

Result<Applied> DocumentDesk::apply(const ApplyRequest& request) {
  Considered considered = consider(kLocalSource, request.payload, request.from_network);
  Document& document = considered.document;
  Applied applied{document.revision, document.digest, false, document.errors, document.warnings};
  applied.warnings.insert(applied.warnings.end(), considered.overruled.begin(),
                          considered.overruled.end());
  if (considered.known || !document.valid()) {
    if (!document.valid()) {
      const Finding& first = document.errors.front();
      log_info("a document that was applied here is refused",
               {{"path", first.path}, {"error", first.message}});
    }
    return applied;
  }
  Slot& slot = *find(kLocalSource);
  const Status before = store_status_;
  slot.waiting = Candidate{std::move(document), std::move(considered.content)};
  if (Status stored = store(slot); !stored) {
    slot.waiting.reset();
    store_status_ = before;
    return fail(stored.error(), "the document cannot be stored, so it is not accepted");
  }
  applied.changed = true;
  take(std::move(considered.merged));
  settle();
  return applied;
}

std::vector<Source> DocumentDesk::sources() const {
  std::vector<Source> sources;
  for (const Document& document : manifests_) sources.push_back({kManifestsSource, &document});
  for (const Slot& slot : slots_) {
    if (slot.document) sources.push_back({slot.source, &*slot.document});
  }
  return sources;
}

}  // namespace wherry
