#pragma once
// The pulling half of an OCI registry (OCI distribution-spec 1.1, "Pull").

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/cancel.h"
#include "base/result.h"
#include "runtime/image/auth.h"
#include "runtime/image/backend.h"
#include "runtime/image/credentials.h"
#include "runtime/image/host_notes.h"
#include "runtime/image/hosts.h"
#include "runtime/image/http.h"
#include "runtime/image/proxy.h"
#include "runtime/image/reference.h"
#include "runtime/image/store.h"

namespace wherry::runtime {

// Where a blob goes while it arrives.
class BlobSink {
 public:
  virtual ~BlobSink() = default;
  // The place in the blob of the byte it wants next. Falls back to 0 where it has to start over.
  virtual int64_t offset() const = 0;
  // Once for every host that begins to answer: the place of what comes now, which is offset(), or 0
  // where the registry cannot continue. Anything else is refused. `continues`: asked again for the
  // rest it would send just that, as far as is known.
  virtual Status begin(int64_t at, bool continues) = 0;
  virtual Status data(std::string_view bytes) = 0;
};

// How to get into registries.
struct RegistryAccess {
  std::vector<RegistryCredential> credentials{};  // of the Pods that want the image
  DeviceCredentials device{};
  ProxySettings proxies{};
};

// One repository, for the time of one pull. Thread-safe. Hosts are tried in order, those that were
// not reachable within the last minute after the others; the next one is asked when a host is not
// reachable, does not have it, or sends what it cannot be. A tag is asked for where hosts.toml lets
// a host resolve, a digest where it lets it pull. A host that asks for patience (429, 503)
// for at most 20 s gets it, three times. Credentials go to the host they are for, and to no other:
// a mirror has its own. They are tried one after the other until one is right, and what was right
// is used again when a token has expired. Errors: Unavailable (retry later; with reason
// RegistryUnavailable where it is not there at all), ResourceExhausted (a rate limit; the message
// says until when), NotFound, PermissionDenied (credentials), FailedPrecondition (certificates),
// DataLoss (bytes are not what their digest says), InvalidArgument (not an image), Cancelled. Where
// several hosts failed it is the error of the reference's own host, and says those of the others.
class Registry {
 public:
  // `notes` must outlive it.
  Registry(Reference reference, std::vector<RegistryHost> hosts, RegistryAccess access,
           HttpTimeouts timeouts, HostNotes& notes);
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  // What the reference's tag or digest is now.
  Result<Descriptor> resolve(const CancelToken& cancel);
  // An index or manifest, whole and verified.
  Result<std::string> document(const Descriptor& descriptor, const CancelToken& cancel);
  // A blob from where the sink is on. Unverified: the sink sees to that.
  Status blob(const Descriptor& descriptor, BlobSink& sink, const CancelToken& cancel);

  // The bytes of a blob, or the image that a tag was resolved to, were wrong. Where all of it came
  // from a mirror, that one is not asked for it again, and another try is worth it: true.
  bool blame(const std::string& digest);
  bool blame_resolved(const Error& error);

 private:
  struct Host;
  struct Ask;
  struct Answer;

  std::vector<Host*> hosts_for(const std::string& digest);
  template <typename Attempt>
  auto each_host(const std::string& digest, const Attempt& attempt)
      -> decltype(attempt(std::declval<Host&>()));
  static Error worst_of(const std::vector<std::pair<const Host*, Error>>& failures);
  template <typename Attempt>
  Result<Answer> patiently(const CancelToken& cancel, const Attempt& attempt);
  Error refusal(const Answer& answer, const std::string& what) const;
  Result<Answer> request(Host& host, const Ask& ask, const CancelToken& cancel);
  Result<Answer> authorized(Host& host, const Ask& ask, const CancelToken& cancel);
  Result<Answer> follow(Host& host, const Ask& ask, const std::string& authorization,
                        const CancelToken& cancel);
  Result<bool> log_in(Host& host, const std::string& refused, const std::string& header,
                      const CancelToken& cancel);
  Result<bool> log_in_alone(Host& host, const std::vector<Challenge>& challenges,
                            const CancelToken& cancel);
  Result<bool> choose_credential(Host& host, bool for_token, const CancelToken& cancel);
  Result<Token> fetch_token(Host& host, const Challenge& challenge, const CancelToken& cancel);
  Error refused_by(const Host& host) const;
  Result<Descriptor> resolve_at(Host& host, const CancelToken& cancel);
  void note_source(Host& host, const std::string& digest, int64_t place);
  std::string authorization_of(Host& host);
  std::string url_of(const Host& host, const std::string& path) const;

  const Reference reference_;
  HostNotes& notes_;
  const SystemClock clock_;
  HttpSession session_;
  Gate log_ins_;  // one at a time for each host
  std::mutex mutex_;
  std::vector<std::unique_ptr<Host>> hosts_;
  std::map<std::string, Host*> sources_;  // guarded by mutex_; of blobs, null: several
  Host* resolved_by_ = nullptr;           // guarded by mutex_
};

// For a non-2xx answer: the code and the sentence, with the registry's own words where it has any.
Error status_error(const HttpHead& head, std::string_view body, const std::string& what);

// Retry-After in seconds (RFC 9110 section 10.2.3), 0 to a day, or nothing. A date is measured
// against the answer's own Date, or against `now` where it has none.
std::optional<int64_t> retry_after(const HttpHead& head, WallTime now);

}  // namespace wherry::runtime
