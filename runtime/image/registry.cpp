#include "runtime/image/registry.h"

#include <algorithm>
#include <charconv>

#include "base/digest.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "runtime/image/manifest.h"
#include "runtime/image/registry_parts.h"

namespace wherry::runtime {
namespace {

constexpr int kMaxRedirects = 5;
constexpr int kMaxLogIns = 16;
constexpr size_t kMaxErrorBody = 4096;
constexpr std::string_view kUserAgent = "wherry/1";

std::string accepted_documents() {
  return std::string(media::kOciIndex) + ", " + std::string(media::kDockerIndex) + ", " +
         std::string(media::kOciManifest) + ", " + std::string(media::kDockerManifest) +
         ", */*;q=0.1";
}

// "bytes 100-199/200" -> 100
// RFC 9110 section 14.4: "bytes 5-9/10", where the last may be "*".
struct ContentRange {
  int64_t start = 0;
  std::optional<int64_t> total;
};

std::optional<ContentRange> parse_content_range(const std::string& header) {
  constexpr std::string_view kUnit = "bytes ";
  if (!header.starts_with(kUnit)) return std::nullopt;
  ContentRange range;
  const char* const end = header.data() + header.size();
  const char* begin = header.data() + kUnit.size();
  const auto [dash, error] = std::from_chars(begin, end, range.start);
  if (error != std::errc() || dash == begin || dash == end || *dash != '-') return std::nullopt;
  const size_t slash = header.find('/');
  int64_t total = 0;
  if (slash != std::string::npos &&
      std::from_chars(header.data() + slash + 1, end, total).ec == std::errc()) {
    range.total = total;
  }
  return range;
}

std::optional<int64_t> content_length(const HttpHead& head) {
  const std::string length = head.header("Content-Length");
  int64_t size = 0;
  const bool read =
      std::from_chars(length.data(), length.data() + length.size(), size).ec == std::errc();
  return read ? std::optional<int64_t>(size) : std::nullopt;
}

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

constexpr std::string_view kUnreachable = "RegistryUnavailable";

// A HEAD that failed in this way says nothing of what a GET would bring.
bool may_answer_get(const Error& error) {
  return error.code() == Code::FailedPrecondition || error.code() == Code::PermissionDenied;
}

std::string media_type_only(std::string type) {
  type.resize(std::min(type.find_first_of("; "), type.size()));
  return type;
}

// Where in the blob the body of this answer belongs. What has arrived is not given up for an answer
// that cannot be the blob, such as the log-in page of a network.
Result<int64_t> place_of(const std::string& base, const HttpHead& head, const Descriptor& wanted,
                         int64_t from) {
  const std::string said = media_type_only(head.header("Content-Type"));
  const auto length = content_length(head);
  const bool whole = head.status != 206;
  if (said == "text/html" || (whole && from > 0 && length && *length != wanted.size)) {
    return fail(Code::Unavailable,
                base + " answered with " + (said.empty() ? "something" : said) +
                    " that is not the blob; is there a proxy or a log-in page in between?");
  }
  if (whole) return 0;
  const auto range = parse_content_range(head.header("Content-Range"));
  const bool fits = range && (range->start == 0 || range->start == from) &&
                    range->total.value_or(wanted.size) == wanted.size;
  if (fits) return range->start;
  return fail(Code::Unavailable, base + " answered with another range");
}

}  // namespace

Registry::Registry(Reference reference, std::vector<RegistryHost> hosts, RegistryAccess access,
                   HttpTimeouts timeouts, HostNotes& notes)
    : reference_(std::move(reference)),
      notes_(notes),
      session_(timeouts, std::move(access.proxies)) {
  for (RegistryHost& settings : hosts) {
    auto host = std::make_unique<Host>();
    host->settings = std::move(settings);
    const std::string name = host->settings.origin ? reference_.host : host->authority();
    host->queue.emplace(access.credentials, access.device, name, reference_.repository);
    hosts_.push_back(std::move(host));
  }
}

Registry::~Registry() = default;

std::string Registry::url_of(const Host& host, const std::string& path) const {
  std::string url = host.settings.base + "/" + reference_.repository + "/" + path;
  if (host.settings.mirror) url += "?ns=" + encode_query(reference_.host);
  return url;
}

std::string Registry::authorization_of(Host& host) {
  const std::lock_guard lock(mutex_);
  const bool fresh = host.expires == MonoTime{} || clock_.now() < host.expires;
  return fresh ? host.authorization : std::string();
}

// That of the reference's own host, or else of the first; but "not found" says less than any other
// failure. What kept the others from answering is told as well, and the longest wait counts.
Error Registry::worst_of(const std::vector<std::pair<const Host*, Error>>& failures) {
  const auto rank = [](const auto& failure) {
    return (failure.second.code() == Code::NotFound ? 0 : 2) +
           (failure.first->settings.origin ? 1 : 0);
  };
  const auto worst =
      std::max_element(failures.begin(), failures.end(),
                       [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
  std::string others;
  std::chrono::seconds wait{};
  for (const auto& failure : failures) {
    wait = std::max(wait, failure.second.retry_after());
    if (&failure == &*worst || rank(failure) < 2) continue;
    others += (others.empty() ? "" : "; ") + failure.second.full();
  }
  const Error& error = worst->second;
  if (others.empty()) return wait > error.retry_after() ? error.with_retry_after(wait) : error;
  return Error(error.code(), error.full() + " (also " + others + ")", std::string(error.reason()))
      .with_retry_after(wait);
}

// Empty: what the tag is.
std::vector<Registry::Host*> Registry::hosts_for(const std::string& digest) {
  std::vector<Host*> hosts;
  const std::lock_guard lock(mutex_);
  for (const auto& host : hosts_) {
    const bool may = digest.empty() ? host->settings.resolve : host->settings.pull;
    if (may && !host->blamed.contains(digest)) hosts.push_back(host.get());
  }
  std::stable_partition(hosts.begin(), hosts.end(), [this](const Host* host) {
    return !notes_.is_unreachable(host->settings.base);
  });
  return hosts;
}

template <typename Attempt>
auto Registry::each_host(const std::string& digest, const Attempt& attempt)
    -> decltype(attempt(std::declval<Host&>())) {
  std::vector<std::pair<const Host*, Error>> failures;
  for (Host* const host : hosts_for(digest)) {
    auto result = attempt(*host);
    const bool unreachable = !result && result.error().reason() == kUnreachable;
    if (unreachable) notes_.unreachable(host->settings.base);
    if (!result && result.error().code() == Code::Cancelled) return result;
    if (!unreachable) notes_.reached(host->settings.base);
    if (result) return result;
    log_debug("registry host failed",
              {{"host", host->settings.base}, {"error", result.error().full()}});
    if (result.error().code() == Code::DataLoss && !host->settings.origin) {
      log_warn("a mirror sent wrong bytes, another host is asked",
               {{"mirror", host->settings.base}, {"error", result.error().full()}});
    }
    failures.emplace_back(host, result.error());
  }
  if (!failures.empty()) return fail(worst_of(failures));
  return fail(Code::FailedPrecondition, "hosts.toml names no host for " + reference_.host +
                                            " that may " + (digest.empty() ? "resolve" : "pull"));
}

bool Registry::blame(const std::string& digest) {
  const std::lock_guard lock(mutex_);
  const auto found = sources_.find(digest);
  Host* const host = found == sources_.end() ? nullptr : found->second;
  sources_.erase(digest);
  if (host == nullptr || host->settings.origin || !host->blamed.insert(digest).second) return false;
  log_warn("a mirror sent wrong bytes, another host is asked",
           {{"mirror", host->settings.base}, {"blob", digest}});
  return true;
}

bool Registry::blame_resolved(const Error& error) {
  const std::lock_guard lock(mutex_);
  Host* const host = resolved_by_;
  if (host == nullptr || host->settings.origin) return false;
  const std::string digest = reference_.digest;
  if (!host->blamed.insert(digest).second) return false;
  log_warn("what a mirror says of an image is wrong, another host is asked",
           {{"mirror", host->settings.base}, {"error", error.full()}});
  return true;
}

Result<Registry::Answer> Registry::follow(Host& host, const Ask& ask,
                                          const std::string& authorization,
                                          const CancelToken& cancel) {
  auto url = parse_url(ask.url);
  if (!url) return fail(url.error());
  const std::string home = url->authority();
  for (int hops = 0; hops <= kMaxRedirects; ++hops) {
    HttpRequest request{ask.method, *url, ask.headers};
    request.headers.emplace("User-Agent", kUserAgent);
    request.headers.emplace("Accept-Encoding", "identity");
    request.body = ask.form;
    if (url->authority() == home) request.connect = host.settings.dial_timeout;
    request.body_type = "application/x-www-form-urlencoded";
    // Credentials and configured headers are for this host only, and so is a trust without proof.
    TlsOptions tls = host.settings.tls;
    const bool elsewhere = url->authority() != home;
    if (elsewhere) {
      tls = {false, std::move(tls.ca_files), {}};
    } else {
      for (const auto& [name, value] : host.settings.headers) request.headers.emplace(name, value);
      if (!authorization.empty()) {
        request.headers.erase("Authorization");
        request.headers.emplace("Authorization", authorization);
      }
    }
    Answer answer;
    const BodySink sink = [&](const HttpHead& head, std::string_view bytes) -> Status {
      if (head.status >= 200 && head.status < 300) {
        return ask.body ? ask.body(head, bytes) : Status();
      }
      const size_t room = kMaxErrorBody - std::min(kMaxErrorBody, answer.error_body.size());
      answer.error_body += bytes.substr(0, room);
      return {};
    };
    auto head = session_.send(request, tls, sink, cancel);
    if (!head) return fail(head.error());
    answer.head = std::move(*head);
    // Never a log-in: it would be with whom that other host names.
    if (elsewhere && answer.head.status == 401) {
      return fail(Code::PermissionDenied, home + " redirects to " + url->authority() +
                                              ", which wants a log-in; we give it none");
    }
    const std::string location = answer.head.header("Location");
    if (!is_redirect(answer.head.status) || location.empty()) return answer;
    if (!ask.form.empty()) {
      return fail(Code::PermissionDenied, home + " redirects a log-in, which is not followed");
    }
    url = resolve_location(*url, location);
    if (!url) return fail(url.error());
  }
  return fail(Code::Unavailable, home + ": redirects without end");
}

Result<Registry::Answer> Registry::authorized(Host& host, const Ask& ask,
                                              const CancelToken& cancel) {
  for (int log_ins = 0;; ++log_ins) {
    const std::string used = authorization_of(host);
    auto answer = follow(host, ask, used, cancel);
    if (!answer) return answer;
    if (answer->head.status != 401 || log_ins == kMaxLogIns) {
      const std::lock_guard lock(mutex_);
      if (host.authorization == used) host.accepted = answer->head.status != 401;
      return answer;
    }
    const auto got = log_in(host, used, answer->head.joined("WWW-Authenticate"), cancel);
    if (!got) return fail(got.error());
    if (!*got) return answer;  // without any name of ours the registry's own words say more
  }
}

Error Registry::refusal(const Answer& answer, const std::string& what) const {
  Error error = status_error(answer.head, answer.error_body, what);
  const int64_t wait = retry_after(answer.head, clock_.wall()).value_or(0);
  if (!answer.busy() || wait <= kLongestPatience) return error;
  return error.with_retry_after(std::chrono::seconds(wait));
}

Result<Registry::Answer> Registry::request(Host& host, const Ask& ask, const CancelToken& cancel) {
  auto answer = patiently(cancel, [&] { return authorized(host, ask, cancel); });
  if (!answer || answer->good() || answer->head.status == 416) return answer;
  return fail(refusal(*answer, ask.url));
}

Result<Descriptor> Registry::resolve_at(Host& host, const CancelToken& cancel) {
  const std::string& wanted = reference_.digest.empty() ? reference_.tag : reference_.digest;
  Ask ask{"HEAD", url_of(host, "manifests/" + wanted), {{"Accept", accepted_documents()}}};
  auto answer = request(host, ask, cancel);
  if (!answer && !may_answer_get(answer.error())) return fail(answer.error());
  if (answer && answer->good()) {
    Descriptor found{media_type_only(answer->head.header("Content-Type")),
                     answer->head.header("Docker-Content-Digest"),
                     content_length(answer->head).value_or(0)};
    const bool typed = media::is_index(found.media_type) || media::is_manifest(found.media_type);
    const bool same = reference_.digest.empty() || found.digest == reference_.digest;
    if (typed && same && found.size > 0 && is_sha256_digest(found.digest)) return found;
  }
  // Not every registry answers HEAD in full: take the document itself.
  std::string body;
  ask.method = "GET";
  ask.body = [&](const HttpHead& head, std::string_view bytes) -> Status {
    const auto arrived = static_cast<int64_t>(body.size() + bytes.size());
    if (std::max(content_length(head).value_or(0), arrived) > kMaxDocument) {
      return fail(Code::InvalidArgument,
                  host.settings.base + ": the manifest is larger than 4 MiB, so it is not read");
    }
    body += bytes;
    return {};
  };
  answer = request(host, ask, cancel);
  if (!answer) return fail(answer.error());
  const std::string said = media_type_only(answer->head.header("Content-Type"));
  std::string type =
      media::is_index(said) || media::is_manifest(said) ? said : sniff_media_type(body);
  if (type.empty()) {
    return fail(Code::Unavailable, host.settings.base + " answered with " +
                                       (said.empty() ? "something" : said) +
                                       " that is no image manifest; is there a proxy or a log-in "
                                       "page in between?");
  }
  Descriptor found{std::move(type), sha256_digest(body), static_cast<int64_t>(body.size())};
  if (!reference_.digest.empty() && found.digest != reference_.digest) {
    return fail(Code::DataLoss, host.settings.base + " answered with " + found.digest +
                                    " when asked for " + reference_.digest);
  }
  return found;
}

Result<Descriptor> Registry::resolve(const CancelToken& cancel) {
  if (Status reached = failpoint("image.resolve"); !reached) return fail(reached.error());
  return each_host(reference_.digest, [&](Host& host) {
    auto found = resolve_at(host, cancel);
    if (!found) return found;
    const std::lock_guard lock(mutex_);
    resolved_by_ = &host;
    return found;
  });
}

Result<std::string> Registry::document(const Descriptor& wanted, const CancelToken& cancel) {
  if (wanted.size > kMaxDocument) {
    return fail(Code::InvalidArgument, "manifest " + wanted.digest + " is larger than 4 MiB (" +
                                           std::to_string(wanted.size) +
                                           " bytes), so it is not read");
  }
  return each_host(wanted.digest, [&](Host& host) -> Result<std::string> {
    std::string body;
    Ask ask{"GET", url_of(host, "manifests/" + wanted.digest), {{"Accept", accepted_documents()}}};
    ask.body = [&](const HttpHead&, std::string_view bytes) -> Status {
      if (static_cast<int64_t>(body.size() + bytes.size()) > wanted.size) {
        return fail(Code::DataLoss, "manifest " + wanted.digest + " is larger than announced");
      }
      body += bytes;
      return {};
    };
    auto answer = request(host, ask, cancel);
    if (!answer) return fail(answer.error());
    if (sha256_digest(body) != wanted.digest) {
      return fail(Code::DataLoss,
                  host.settings.base + " sent a manifest that is not " + wanted.digest);
    }
    return body;
  });
}

Status Registry::blob(const Descriptor& wanted, BlobSink& sink, const CancelToken& cancel) {
  Status own;  // what ended it on our side
  Status got = each_host(wanted.digest, [&](Host& host) -> Status {
    const std::string& base = host.settings.base;
    Ask ask{"GET", url_of(host, "blobs/" + wanted.digest), {}};
    // What has arrived stays: another host continues from there.
    const int64_t from = sink.offset();
    if (from > 0) ask.headers.emplace("Range", "bytes=" + std::to_string(from) + "-");
    bool begun = false;
    bool unfit = false;
    ask.body = [&](const HttpHead& head, std::string_view bytes) -> Status {
      if (!begun) {
        const auto place = place_of(base, head, wanted, from);
        unfit = !place && head.status == 206;
        if (!place) return fail(place.error());
        if (from > 0 && head.status != 206) notes_.ignores_ranges(base);
        const bool continues =
            head.header("Accept-Ranges") != "none" && !notes_.is_ignoring_ranges(base);
        if (Status ready = sink.begin(*place, continues); !ready) return ready;
        note_source(host, wanted.digest, *place);
        begun = true;
      }
      Status taken = sink.data(bytes);
      if (taken || taken.error().code() == Code::DataLoss) return taken;
      own = taken;  // no host's fault: no other is asked
      return fail(Code::Cancelled, "not taken");
    };
    auto answer = request(host, ask, cancel);
    // Whoever cannot continue is asked for all of it the next time, without a range.
    if (unfit) static_cast<void>(sink.begin(0, false));
    if (!answer) return fail(answer.error());
    if (answer->head.status != 416) return {};
    if (Status ready = sink.begin(0, true); !ready) return ready;
    return fail(Code::DataLoss, base + " has no more than " + std::to_string(from) + " of the " +
                                    std::to_string(wanted.size) + " bytes of blob " +
                                    wanted.digest);
  });
  return own ? got : own;
}

// Who sent a blob from its first byte on, alone.
void Registry::note_source(Host& host, const std::string& digest, int64_t place) {
  const std::lock_guard lock(mutex_);
  if (place == 0) {
    sources_[digest] = &host;
  } else if (sources_[digest] != &host) {
    sources_[digest] = nullptr;
  }
}

}  // namespace wherry::runtime
