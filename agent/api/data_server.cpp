#include "agent/api/data_server.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string_view>
#include <unistd.h>
#include <vector>

#include <nlohmann/json.hpp>

#include "agent/api/http_exchange.h"
#include "base/text.h"
#include "telemetry/outbox/batch.h"
#include "telemetry/stream/cache.h"
#include "telemetry/telemetry.h"

namespace wherry {
namespace {

using http::Problem;
using Json = nlohmann::ordered_json;

constexpr Duration kStopGrace = std::chrono::seconds(2);
constexpr size_t kMaxStreamName = 64;
constexpr size_t kMaxKey = 200;
constexpr size_t kMaxType = 128;
constexpr Duration kLongestTtl = std::chrono::hours(24 * 3650);
constexpr uint64_t kReadByDefault = 100;
constexpr uint64_t kReadAtMost = 10'000;
constexpr const char* kBinary = "application/octet-stream";

// RFC 9110, 8.3.1: without regard to case, and there may be parameters after it.
bool is_binary(const std::string* type) {
  if (type == nullptr) return false;
  std::string name(trim(std::string_view(*type).substr(0, type->find(';'))));
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return name == kBinary;
}

// The query parameters of what has a name, by method.
std::vector<std::string_view> parameters(bool stream, const std::string& method) {
  if (stream && method == "GET") return {"after", "limit"};
  if (!stream && method == "PUT") return {"ttl"};
  return {};
}

bool good_name(std::string_view name, size_t longest) {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  return !name.empty() && name.size() <= longest && plain(name.front()) &&
         std::all_of(name.begin(), name.end(),
                     [&](char c) { return plain(c) || c == '.' || c == '_' || c == '-'; });
}

Problem bad_name(std::string_view what, const std::string& name, size_t longest) {
  return {400, printable(name) + " is no " + std::string(what) + ": write 1 to " +
                   std::to_string(longest) +
                   " letters, digits, dots, underscores and dashes, a letter or digit first"};
}

Problem try_again(int status, std::string detail, std::string reason, int64_t seconds) {
  return {status, std::move(detail), std::move(reason), {{"Retry-After", std::to_string(seconds)}}};
}

// Of the outbox and the cache: what a workload can wait for comes with a time to wait.
Problem problem_of(const Error& error) {
  switch (error.code()) {
    case Code::InvalidArgument:
      if (error.reason() == telemetry::kTooLarge) {
        return {413, error.full() + ": send the records in several requests"};
      }
      return http::problem_from(error);
    case Code::NotFound:
      return http::problem_from(error);
    case Code::ResourceExhausted:
      break;
    default:  // the file is damaged, or cannot be opened: the agent tries again, too
      return try_again(503, error.full(), "", 5);
  }
  if (error.reason() == telemetry::kOverQuota || error.reason() == telemetry::kCachesFull ||
      error.reason() == "TooManyStreams") {
    return try_again(429, error.full(), std::string(error.reason()), 60);
  }
  if (error.retry_after().count() > 0) {
    return try_again(429, error.full(), std::string(error.reason()), error.retry_after().count());
  }
  return try_again(507, error.full(), "", 10);
}

std::optional<uint64_t> number_of(const std::string* text, uint64_t fallback) {
  if (text == nullptr) return fallback;
  uint64_t number = 0;
  const char* end = text->data() + text->size();
  const auto parsed = std::from_chars(text->data(), end, number);
  if (parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
  return number;
}

// A record for each line that is not empty; the error names the line.
Result<telemetry::Lines> records_of(std::string_view body, WallTime at) {
  telemetry::Lines lines;
  size_t number = 0;
  while (!body.empty()) {
    const size_t end = std::min(body.find('\n'), body.size());
    const std::string_view line = body.substr(0, end);
    body.remove_prefix(std::min(end + 1, body.size()));
    ++number;
    if (trim(line).empty()) continue;
    auto record = telemetry::record_from_json(line, at);
    if (!record) {
      return fail(Code::InvalidArgument,
                  "line " + std::to_string(number) + ": " + record.error().message());
    }
    lines.add(*record);
  }
  return lines;
}

}  // namespace

struct DataServer::Desk {
  Desk(telemetry::Telemetry& the_telemetry, const telemetry::CacheOptions& cache_options,
       const Clock& the_clock, const DataLimits& given)
      : telemetry(the_telemetry),
        clock(the_clock),
        limits(given),
        cache(cache_options, the_clock),
        server("data", limits.server, [this](http::Exchange& exchange) { handle(exchange); }) {}

  void handle(http::Exchange& exchange);
  std::optional<std::string> read_body(http::Exchange& exchange) const;

  void list_streams(http::Exchange& exchange, const std::string& workload);
  void add_records(http::Exchange& exchange, const std::string& workload, const std::string& name);
  void read_records(http::Exchange& exchange, const std::string& name);
  bool has_room(const std::string& workload, const std::string& stream);
  void made(const std::string& stream);
  Result<telemetry::Appended> append(const std::string& stream, const telemetry::Lines& lines);
  void handle_stream(http::Exchange& exchange, const std::string& workload,
                     const std::string& name);
  void forget_streams_of_others();
  void forget_caches_of_others();

  void list_keys(http::Exchange& exchange, const std::string& workload);
  void handle_key(http::Exchange& exchange, const std::string& workload, const std::string& key);
  void put_value(http::Exchange& exchange, const std::string& workload, const std::string& key);

  telemetry::Telemetry& telemetry;
  const Clock& clock;
  const DataLimits limits;
  std::mutex mutex;
  std::map<std::string, std::string> open;  // workload -> directory
  std::multiset<std::string> making;        // streams that records are being added to
  telemetry::Cache cache;
  bool started = false;
  http::Server server;
};

void DataServer::Desk::handle(http::Exchange& exchange) {
  const http::Request& request = exchange.request();
  const std::string& workload = exchange.peer().tag;
  const auto& path = request.path;
  if (path.size() < 2 || path.size() > 3 || path[0] != "v1" ||
      (path[1] != "streams" && path[1] != "cache")) {
    return exchange.respond(Problem{404, "there are /v1/streams and /v1/cache here"});
  }
  const bool streams = path[1] == "streams";
  const bool named = path.size() == 3;
  const auto known = named ? parameters(streams, request.method) : std::vector<std::string_view>();
  if (auto problem = request.unknown_param(known)) return exchange.respond(*problem);
  if (named && streams) return handle_stream(exchange, workload, path[2]);
  if (named) return handle_key(exchange, workload, path[2]);
  if (request.method != "GET") {
    return exchange.respond(Problem{405, "only GET here", "", {{"Allow", "GET"}}});
  }
  streams ? list_streams(exchange, workload) : list_keys(exchange, workload);
}

// Nothing: the answer is given.
std::optional<std::string> DataServer::Desk::read_body(http::Exchange& exchange) const {
  const auto too_large = [&] {
    exchange.respond(Problem{413, "a request has at most " + std::to_string(limits.max_body) +
                                      " bytes: send the records in several"});
    return std::nullopt;
  };
  if (exchange.request().content_length > limits.max_body) return too_large();
  std::string body;
  std::vector<char> buffer(16 << 10);
  while (true) {
    const auto got = exchange.read_body(buffer.data(), buffer.size());
    if (!got) {
      const bool late = got.error().code() == Code::DeadlineExceeded;
      exchange.respond(late ? Problem{408, got.error().full()} : http::problem_from(got.error()));
      return std::nullopt;
    }
    if (*got == 0) return body;
    if (body.size() + *got > limits.max_body) return too_large();
    body.append(buffer.data(), *got);
  }
}

void DataServer::Desk::list_streams(http::Exchange& exchange, const std::string& workload) {
  Json list = Json::array();
  const std::string prefix = "data/" + workload + "/";
  for (const telemetry::StreamState& stream : telemetry.streams()) {
    if (!stream.name.starts_with(prefix)) continue;
    list.push_back({{"stream", stream.name.substr(prefix.size())},
                    {"epoch", stream.epoch},
                    {"next", stream.next},
                    {"acknowledged", stream.acked},
                    {"bytes", stream.bytes},
                    {"dropped", stream.dropped}});
  }
  exchange.respond(200, "application/json", Json{{"streams", std::move(list)}}.dump());
}

void DataServer::Desk::handle_stream(http::Exchange& exchange, const std::string& workload,
                                     const std::string& name) {
  if (!good_name(name, kMaxStreamName)) {
    return exchange.respond(bad_name("stream", name, kMaxStreamName));
  }
  const std::string& method = exchange.request().method;
  const std::string stream = "data/" + workload + "/" + name;
  if (method == "POST") return add_records(exchange, workload, stream);
  if (method == "GET") return read_records(exchange, stream);
  exchange.respond(Problem{405, "POST records or GET them", "", {{"Allow", "GET, POST"}}});
}

// What nobody hands in any more, and everybody has, makes room for a new stream.
void DataServer::Desk::forget_streams_of_others() {
  std::vector<std::string> gone;
  {
    const std::lock_guard lock(mutex);
    for (const telemetry::StreamState& stream : telemetry.streams()) {
      const std::vector<std::string> parts = split(stream.name, '/');
      if (parts[0] == "data" && stream.records == 0 && !open.contains(parts[1])) {
        gone.push_back(stream.name);
      }
    }
  }
  for (const std::string& stream : gone) static_cast<void>(telemetry.forget(stream));
}

void DataServer::Desk::forget_caches_of_others() {
  const auto workloads = cache.workloads();
  if (!workloads) return;
  for (const std::string& workload : *workloads) {
    const std::lock_guard lock(mutex);
    if (!open.contains(workload)) static_cast<void>(cache.forget(workload));
  }
}

// Whether the workload may have the stream, which then counts until the caller calls made().
bool DataServer::Desk::has_room(const std::string& workload, const std::string& stream) {
  const std::lock_guard lock(mutex);
  std::set<std::string> all;
  const std::string prefix = "data/" + workload + "/";
  for (const telemetry::StreamState& one : telemetry.streams()) {
    if (one.name.starts_with(prefix)) all.insert(one.name);
  }
  for (const std::string& one : making) {
    if (one.starts_with(prefix)) all.insert(one);
  }
  if (!all.contains(stream) && all.size() >= limits.streams) return false;
  making.insert(stream);
  return true;
}

void DataServer::Desk::made(const std::string& stream) {
  const std::lock_guard lock(mutex);
  making.erase(making.find(stream));
}

Result<telemetry::Appended> DataServer::Desk::append(const std::string& stream,
                                                     const telemetry::Lines& lines) {
  auto appended = telemetry.append(stream, lines);
  if (appended || appended.error().reason() != "TooManyStreams") return appended;
  forget_streams_of_others();
  return telemetry.append(stream, lines);
}

void DataServer::Desk::add_records(http::Exchange& exchange, const std::string& workload,
                                   const std::string& stream) {
  const std::optional<std::string> body = read_body(exchange);
  if (!body) return;
  const std::string* type = exchange.request().header("content-type");
  const WallTime at = clock.wall();
  telemetry::Lines lines;
  if (is_binary(type)) {
    lines.add(telemetry::record_from_bytes(*body, at));
  } else {
    auto records = records_of(*body, at);
    if (!records)
      return exchange.respond(Problem{
          400, records.error().message() +
                   "; a record is one JSON value on one line, or any bytes sent as " + kBinary});
    lines = std::move(*records);
  }
  if (lines.empty()) return exchange.respond(Problem{400, "there is no record in the body"});
  if (!has_room(workload, stream)) {
    return exchange.respond(
        try_again(429, "a workload has at most " + std::to_string(limits.streams) + " streams",
                  "TooManyStreams", 60));
  }
  const auto appended = append(stream, lines);
  made(stream);
  if (!appended) return exchange.respond(problem_of(appended.error()));
  exchange.respond(200, "application/json",
                   Json{{"first", appended->first}, {"count", appended->count}}.dump());
}

void DataServer::Desk::read_records(http::Exchange& exchange, const std::string& name) {
  const http::Request& request = exchange.request();
  const auto after = number_of(request.param("after"), 0);
  const auto limit = number_of(request.param("limit"), kReadByDefault);
  if (!after || !limit || *limit == 0 || *limit > kReadAtMost) {
    return exchange.respond(
        Problem{400, "after is a record's number, limit 1 to " + std::to_string(kReadAtMost)});
  }
  auto chunk = telemetry.read(name, *after, limits.read_bytes);
  if (!chunk) return exchange.respond(problem_of(chunk.error()));
  if (chunk->lines.count > *limit) {
    std::string& text = chunk->lines.text;
    text.resize(telemetry::prefix_of(text, static_cast<uint32_t>(*limit)) - 1);
    chunk->lines.count = static_cast<uint32_t>(*limit);
  }
  if (chunk->first == 0) chunk->first = chunk->next;
  exchange.respond(200, "application/json", telemetry::batch_json(name, chunk->epoch, *chunk));
}

void DataServer::Desk::list_keys(http::Exchange& exchange, const std::string& workload) {
  const auto keys = cache.keys(workload);
  if (!keys) return exchange.respond(problem_of(keys.error()));
  Json list = Json::array();
  for (const auto& key : *keys) list.push_back({{"key", key.name}, {"bytes", key.bytes}});
  exchange.respond(200, "application/json", Json{{"keys", std::move(list)}}.dump());
}

void DataServer::Desk::handle_key(http::Exchange& exchange, const std::string& workload,
                                  const std::string& key) {
  if (!good_name(key, kMaxKey)) return exchange.respond(bad_name("key", key, kMaxKey));
  const std::string& method = exchange.request().method;
  if (method == "PUT") return put_value(exchange, workload, key);
  if (method == "GET") {
    const auto entry = cache.get(workload, key);
    if (!entry) return exchange.respond(problem_of(entry.error()));
    return exchange.respond(200, entry->type, entry->value);
  }
  if (method == "DELETE") {
    const Status removed = cache.remove(workload, key);
    if (!removed) return exchange.respond(problem_of(removed.error()));
    return exchange.respond(200, "application/json", Json{{"key", key}}.dump());
  }
  exchange.respond(Problem{405, "PUT, GET or DELETE a key", "", {{"Allow", "GET, PUT, DELETE"}}});
}

void DataServer::Desk::put_value(http::Exchange& exchange, const std::string& workload,
                                 const std::string& key) {
  std::optional<Duration> ttl;
  if (const std::string* text = exchange.request().param("ttl")) {
    auto parsed = parse_duration(*text);
    if (!parsed || *parsed <= Duration::zero() || *parsed > kLongestTtl) {
      return exchange.respond(
          Problem{400, "ttl is how long the value counts, as 30s, 5m or 7d, up to 3650d"});
    }
    ttl = *parsed;
  }
  std::optional<std::string> body = read_body(exchange);
  if (!body) return;
  const std::string* type = exchange.request().header("content-type");
  if (type != nullptr && type->size() > kMaxType) {
    return exchange.respond(
        Problem{400, "a content type has at most " + std::to_string(kMaxType) + " bytes"});
  }
  const telemetry::CacheEntry entry{std::move(*body), type == nullptr ? kBinary : *type};
  Status put = cache.put(workload, key, entry, ttl);
  if (!put && put.error().reason() == telemetry::kCachesFull) {
    forget_caches_of_others();
    put = cache.put(workload, key, entry, ttl);
  }
  if (!put) return exchange.respond(problem_of(put.error()));
  exchange.respond(200, "application/json",
                   Json{{"key", key}, {"bytes", entry.value.size()}}.dump());
}

DataServer::DataServer(telemetry::Telemetry& telemetry, const telemetry::CacheOptions& cache,
                       const Clock& clock, DataLimits limits)
    : desk_(std::make_unique<Desk>(telemetry, cache, clock, limits)) {}

DataServer::~DataServer() { stop(); }

Status DataServer::open(const std::string& workload, const std::string& directory) {
  const std::lock_guard lock(desk_->mutex);
  const auto known = desk_->open.find(workload);
  const std::string path = directory + "/data.sock";
  const bool there = access(path.c_str(), F_OK) == 0;
  if (known != desk_->open.end() && known->second == directory && there) return {};
  desk_->server.remove(workload);
  auto listener = http::Listener::unix_socket(path, "", 0666, http::Listener::Clients::Elsewhere);
  if (!listener) return fail(listener.error());
  listener->set_tag(workload);
  if (!desk_->started) {
    if (Status started = desk_->server.start({}); !started) return started;
    desk_->started = true;
  }
  desk_->server.add(std::move(*listener));
  desk_->open[workload] = directory;
  return {};
}

void DataServer::close(const std::string& workload) {
  const std::lock_guard lock(desk_->mutex);
  if (desk_->open.erase(workload) == 0) return;
  desk_->server.remove(workload);
}

void DataServer::stop() { desk_->server.stop(kStopGrace); }

}  // namespace wherry
