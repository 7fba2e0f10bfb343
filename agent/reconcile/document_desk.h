#pragma once
// Takes documents in: which are accepted, which are rejected and why, and what all accepted ones
// together want. The rules are those of docs/workloads.md.

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/manifest/document.h"
#include "agent/manifest/scrubber.h"
#include "agent/reconcile/document_requests.h"
#include "agent/reconcile/mailbox.h"
#include "agent/reconcile/records.h"
#include "agent/reconcile/state_view.h"
#include "agent/signing/signatures.h"
#include "base/clock.h"

namespace wherry {

inline constexpr const char* kManifestsSource = "manifests";

class DocumentDesk {
 public:
  // `sources` in the order of their precedence, the strongest, that of the device itself, last;
  // local manifests come before them. References must outlive the desk. A copy may be read only.
  DocumentDesk(std::vector<std::string> sources, DeviceFacts facts, Records& records,
               const Clock& clock, SignatureOptions signatures = {});

  // What was accepted in earlier lives. Documents of sources that are no longer configured are
  // forgotten. Call once, before anything else.
  Status load();
  // What superseded documents wanted that are still kept, oldest of each source first: a Pod may
  // have been left of them. For the start; reads them anew.
  std::vector<WorkloadSpec> superseded_workloads();
  // Those that are not in `needed` are of no use any more.
  Status forget_superseded(const std::set<DocumentVersion>& needed);
  // Each returns true when what is wanted may be another now.
  bool receive(const std::string& source, const std::string& payload);
  bool take_manifests(const LocalManifests& manifests);
  // As source kLocalSource, which must be among the sources. What is refused or cannot be stored
  // leaves no trace: whoever asks has the answer. `changed` in it: what is wanted may be another.
  Result<Applied> apply(const ApplyRequest& request);

  // A document as it would be taken now.
  struct Considered {
    Document document;                 // its errors say why it would be refused
    std::string content;               // what is to be read of the payload
    bool known = false;                // it is what was accepted already
    Merged merged{};                   // what would be wanted then; where there are no errors
    std::vector<Finding> overruled{};  // its objects that a stronger source has, too
  };
  // `source` is one that the desk has. Changes nothing.
  Considered consider(const std::string& source, const std::string& payload,
                      bool needs_signature) const;
  bool has(const std::string& source) const;
  std::vector<std::string> source_names() const;
  // All accepted documents, the strongest last. They live as long as the desk is left alone.
  std::vector<Source> sources() const;
  // Tries again what could not be stored; does nothing before retry_at().
  bool retry();
  std::optional<MonoTime> retry_at() const { return retry_at_; }

  const Merged& merged() const { return merged_; }
  // Knows the Secrets of all documents of this life, and of those that were kept from earlier ones.
  const Scrubber& secrets() const { return secrets_; }
  // Sources of which it is not known what they want: nothing of theirs may be removed.
  std::set<std::string> held_sources() const;
  // Those of them that may have had workloads: a source that was never heard of has had none.
  std::set<std::string> unread_sources() const;
  // One entry a source that has something to say; `state` is left empty.
  std::vector<DesiredView> views() const;
  // The store's last answer.
  const Status& store_status() const { return store_status_; }
  // Rejections since the last call. (An acceptance is stored with its document.)
  std::vector<EventRecord> take_events() { return std::exchange(events_, {}); }

 private:
  struct Candidate {
    Document document;
    std::string payload;
  };
  struct Slot {
    std::string source;
    std::optional<Document> document;  // accepted; none: never, or no longer readable
    uint64_t revision = 0;             // of the accepted one
    std::string digest;                // of the message that it came as
    std::string content;               // digest of what that says
    uint64_t left_revision = 0;        // accepted last when the device was here before
    std::string left_content;          // digest of what that said
    std::vector<Finding> errors;       // why the stored one is no longer readable
    std::optional<DesiredView::Rejected> rejected;
    std::string rejected_digest;
    MonoTime not_told_before{};        // rejections of what can be made in any number
    std::optional<Candidate> waiting;  // good by itself; conflicts with others, or not stored yet
  };
  using Overrides = std::map<std::string, const Document*>;

  Slot* find(const std::string& source);
  const Slot* find(const std::string& source) const;
  const std::string& target_of(const Slot& slot) const;
  std::string local_target() const;
  std::vector<Finding> overruled(const Slot& slot, const Document& document) const;
  std::vector<Finding> refusals(const Slot& slot, const Document& document,
                                const Opened& opened) const;
  Merged merge_with(const Overrides& overrides, const std::vector<Document>& manifests) const;
  void take(Merged merged);
  std::vector<Finding> new_errors(const Merged& merged) const;
  bool settle();
  bool try_waiting(Slot& slot);
  bool try_all_waiting();
  bool commit(Slot& slot);
  Status store(Slot& slot);
  void take_back(Slot& slot);
  void reject(Slot& slot, uint64_t revision, const std::string& digest,
              std::vector<Finding> errors);

  std::vector<Slot> slots_;
  std::set<DocumentVersion> superseded_;  // that are kept
  const DeviceFacts facts_;
  Records& records_;
  const Clock& clock_;
  const Signatures signatures_, local_signatures_;

  std::vector<Document> manifests_;  // good ones, in file order
  std::map<std::string, Document> good_files_;
  std::vector<Finding> manifest_errors_, manifest_warnings_;
  std::string manifests_digest_;
  bool manifests_held_ = true;  // until they were read once

  Scrubber secrets_;
  Merged merged_;
  std::map<std::string, std::vector<Finding>> left_out_;  // by source: what nodeSelector leaves out
  Status store_status_;
  std::optional<MonoTime> retry_at_;
  std::vector<EventRecord> events_;
};

}  // namespace wherry
