// Probes, lifecycle hooks and last words of a container.

#include <algorithm>

#include "agent/manifest/items.h"
#include "agent/manifest/names.h"

namespace wherry::manifest {
namespace {

using runtime::Handler;
using runtime::Probe;

constexpr int64_t kMaxSeconds = 86400;
constexpr int64_t kMaxThreshold = 1'000'000;

// Text that goes into a request must not end a line of it.
bool is_plain(std::string_view text, bool spaces) {
  return std::all_of(text.begin(), text.end(), [&](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte > 0x20 ? byte != 0x7f : spaces && (c == ' ' || c == '\t');
  });
}

class HealthReader {
 public:
  explicit HealthReader(const Cursor& container) : container_(container) {}

  std::optional<Probe> probe(std::string_view field) {
    std::optional<Probe> made;
    container_.with(field, [&](const Cursor& at) {
      Probe probe;
      const auto handler = action(at, {"exec", "httpGet", "tcpSocket", "grpc"});
      seconds(at, "initialDelaySeconds", probe.initial_delay);
      seconds(at, "periodSeconds", probe.period);
      seconds(at, "timeoutSeconds", probe.timeout);
      number(at, "successThreshold", probe.success_threshold);
      number(at, "failureThreshold", probe.failure_threshold);
      const bool readiness = field == "readinessProbe";
      if (!readiness && probe.success_threshold != 1) {
        at.error_at("successThreshold", "must be 1 of a liveness or startup probe");
      }
      const auto grace = at.integer_within("terminationGracePeriodSeconds", 1, kMaxSeconds);
      if (grace) probe.grace = std::chrono::seconds(*grace);
      if (readiness && at.has("terminationGracePeriodSeconds")) {
        at.error_at("terminationGracePeriodSeconds",
                    "a readiness probe stops nothing: leave it out");
      }
      if (!handler) return;
      probe.check = *handler;
      made = probe;
    });
    return made;
  }

  std::optional<Handler> hook(const Cursor& lifecycle, std::string_view field) {
    std::optional<Handler> made;
    lifecycle.with(field, [&](const Cursor& at) {
      if (!at.has("tcpSocket")) made = action(at, {"exec", "httpGet", "sleep"});
    });
    return made;
  }

 private:
  std::optional<Handler> action(const Cursor& at, std::initializer_list<std::string_view> kinds) {
    std::string all;
    std::string_view chosen;
    int given = 0;
    for (const std::string_view kind : kinds) {
      all += (all.empty() ? "" : ", ") + std::string(kind);
      if (!at.has(kind)) continue;
      chosen = kind;
      ++given;
    }
    if (given != 1) {
      at.error("needs exactly one of " + all);
      return {};
    }
    Handler handler;
    if (chosen == "exec") at.with(chosen, [&](const Cursor& exec) { read_exec(exec, handler); });
    if (chosen == "httpGet") at.with(chosen, [&](const Cursor& get) { read_http(get, handler); });
    if (chosen == "tcpSocket") {
      at.with(chosen, [&](const Cursor& socket) {
        handler.kind = Handler::Kind::TcpSocket;
        handler.port = port(socket);
        handler.host = host(socket);
      });
    }
    if (chosen == "grpc") {
      at.with(chosen, [&](const Cursor& grpc) {
        handler.kind = Handler::Kind::Grpc;
        handler.service = grpc.string("service");
        handler.port = static_cast<uint16_t>(grpc.integer_within("port", 1, 65535).value_or(0));
      });
    }
    if (chosen == "sleep") {
      at.with(chosen, [&](const Cursor& sleep) {
        handler.kind = Handler::Kind::Sleep;
        handler.sleep =
            std::chrono::seconds(sleep.integer_within("seconds", 0, kMaxSeconds).value_or(0));
      });
    }
    return handler;
  }

  static void read_exec(const Cursor& exec, Handler& handler) {
    exec.each("command", Kind::String,
              [&](const Cursor& word) { handler.command.emplace_back(word.node().text); });
    if (exec.get("command", Kind::List) != nullptr && handler.command.empty()) {
      exec.error_at("command", "must name a program");
    }
  }

  void read_http(const Cursor& get, Handler& handler) {
    handler.kind = Handler::Kind::HttpGet;
    handler.https = get.string("scheme") == "HTTPS";
    handler.path = get.string("path");
    if (!is_plain(handler.path, false)) {
      get.error_at("path", "must not contain spaces or control characters: write %20 for a space");
    }
    if (!handler.path.starts_with('/')) handler.path.insert(0, "/");
    handler.host = host(get);
    handler.port = port(get);
    get.each("httpHeaders", Kind::Map, [&](const Cursor& header) {
      const std::string_view name = header.string("name");
      const bool good = is_plain(name, false) && name.find(':') == std::string_view::npos;
      if (!good || (name.empty() && header.get("name", Kind::String) != nullptr)) {
        header.error_at("name", "must be the name of an HTTP header, without spaces and colon");
      }
      if (!is_plain(header.string("value"), true)) {
        header.error_at("value", "must not contain control characters");
      }
      handler.headers.emplace_back(name, header.string("value"));
    });
  }

  static std::string host(const Cursor& at) {
    const std::string_view host = at.string("host");
    if (!is_plain(host, false) || host.find('/') != std::string_view::npos) {
      at.error_at("host", "must be an address or a name");
    }
    return std::string(host);
  }

  uint16_t port(const Cursor& at) const {
    if (at.get("port", Kind::Integer) != nullptr) {
      return static_cast<uint16_t>(at.integer_within("port", 1, 65535).value_or(0));
    }
    const std::string_view name = at.string("port");
    if (at.get("port", Kind::String) == nullptr) return 0;
    std::optional<int64_t> found;
    container_.each("ports", Kind::Map, [&](const Cursor& port) {
      if (port.string("name") == name) found = port.integer("containerPort");
    });
    if (!found || *found < 1 || *found > 65535) {
      at.error_at("port", "the container has no port named \"" + shown(name) +
                              "\": name one under ports, or write its number");
      return 0;
    }
    return static_cast<uint16_t>(*found);
  }

  // 0 is the default, as for every field that Kubernetes' tools write out.
  static void seconds(const Cursor& at, std::string_view field, Duration& value) {
    const int64_t given = at.integer_within(field, 0, kMaxSeconds).value_or(0);
    if (given > 0) value = std::chrono::seconds(given);
  }
  static void number(const Cursor& at, std::string_view field, uint32_t& value) {
    const int64_t given = at.integer_within(field, 0, kMaxThreshold).value_or(0);
    if (given > 0) value = static_cast<uint32_t>(given);
  }

  const Cursor& container_;
};

}  // namespace

void read_health(const Cursor& container, runtime::ContainerSpec& spec) {
  const std::string_view message = container.string("terminationMessagePath");
  if (!message.empty()) {
    const std::string_view problem = container_path_problem(message);
    if (!problem.empty() || message == "/") {
      container.error_at("terminationMessagePath",
                         problem.empty() ? "must not be /" : std::string(problem));
    }
    spec.message_path = message;
  }
  spec.message_from_logs = container.string("terminationMessagePolicy") == "FallbackToLogsOnError";
  if (spec.role == runtime::ContainerRole::Init) {
    for (const std::string_view field :
         {"startupProbe", "livenessProbe", "readinessProbe", "lifecycle"}) {
      if (!container.has(field)) continue;
      container.error_at(field,
                         "an init container runs to its end: only with restartPolicy: "
                         "Always it has probes and hooks");
    }
  }
  HealthReader reader(container);
  spec.startup = reader.probe("startupProbe");
  spec.liveness = reader.probe("livenessProbe");
  spec.readiness = reader.probe("readinessProbe");
  container.with("lifecycle", [&](const Cursor& lifecycle) {
    spec.post_start = reader.hook(lifecycle, "postStart");
    spec.pre_stop = reader.hook(lifecycle, "preStop");
  });
}

}  // namespace wherry::manifest
