// The fields of probes and lifecycle hooks (Kubernetes API v1, core).

#include "agent/manifest/schema.h"

namespace wherry::manifest {
namespace {

using enum Support;

constexpr std::string_view kPortNote = "1 to 65535, or the name of a port of the container";
constexpr std::string_view kSeconds = "seconds";

constexpr Field kExec[] = {
    {"command", Honoured, Type::Strings, nullptr, {}, "no shell and no $(NAME)", true},
};
constexpr Schema kExecSchema{"ExecAction", kExec};

constexpr Field kHeader[] = {
    {"name", Honoured, Type::String, nullptr, {}, {}, true},
    {"value", Honoured, Type::String, nullptr, {}, "empty: the header is left out", true},
};
constexpr Schema kHeaderSchema{"HTTPHeader", kHeader};

constexpr Field kHttpGet[] = {
    {"path", Honoured, Type::String, nullptr, {}, "default /"},
    {"port", Honoured, Type::Port, nullptr, {}, kPortNote, true},
    {"host", Honoured, Type::String, nullptr, {}, "default: the Pod's address"},
    {"scheme", Honoured, Type::String, nullptr, "HTTP|HTTPS",
     "the certificate is not checked, as in Kubernetes; a redirect is not followed and counts as "
     "an answer"},
    {"httpHeaders", Honoured, Type::Objects, &kHeaderSchema},
};
constexpr Schema kHttpGetSchema{"HTTPGetAction", kHttpGet};

constexpr Field kTcpSocket[] = {
    {"port", Honoured, Type::Port, nullptr, {}, kPortNote, true},
    {"host", Honoured, Type::String, nullptr, {}, "default: the Pod's address"},
};
constexpr Schema kTcpSocketSchema{"TCPSocketAction", kTcpSocket};

constexpr Field kGrpc[] = {
    {"port", Honoured, Type::Integer, nullptr, {}, "1 to 65535", true},
    {"service", Honoured, Type::String, nullptr, {}, "of grpc.health.v1; default: the server"},
};
constexpr Schema kGrpcSchema{"GRPCAction", kGrpc};

constexpr Field kProbe[] = {
    {"exec", Honoured, Type::Object, &kExecSchema},
    {"httpGet", Honoured, Type::Object, &kHttpGetSchema},
    {"tcpSocket", Honoured, Type::Object, &kTcpSocketSchema},
    {"grpc", Honoured, Type::Object, &kGrpcSchema},
    {"initialDelaySeconds", Honoured, Type::Integer, nullptr, {}, "default 0"},
    {"periodSeconds", Honoured, Type::Integer, nullptr, {}, "default 10"},
    {"timeoutSeconds", Honoured, Type::Integer, nullptr, {}, "default 1"},
    {"successThreshold",
     Honoured,
     Type::Integer,
     nullptr,
     {},
     "default 1; must be 1 of a liveness or startup probe"},
    {"failureThreshold", Honoured, Type::Integer, nullptr, {}, "default 3"},
    {"terminationGracePeriodSeconds",
     Honoured,
     Type::Integer,
     nullptr,
     {},
     "of the stop that a failure brings; not of a readiness probe; default: the Pod's"},
};

constexpr Field kSleep[] = {
    {"seconds", Honoured, Type::Integer, nullptr, {}, kSeconds, true},
};
constexpr Schema kSleepSchema{"SleepAction", kSleep};

constexpr Field kHook[] = {
    {"exec", Honoured, Type::Object, &kExecSchema},
    {"httpGet", Honoured, Type::Object, &kHttpGetSchema, {}, "any answer is good"},
    {"sleep", Honoured, Type::Object, &kSleepSchema},
    {"tcpSocket",
     Refused,
     Type::Any,
     nullptr,
     {},
     "Kubernetes never ran it, either: use exec or httpGet"},
};
constexpr Schema kHookSchema{"LifecycleHandler", kHook};

constexpr Field kLifecycle[] = {
    {"postStart",
     Honoured,
     Type::Object,
     &kHookSchema,
     {},
     "at most for ten minutes (no limit in Kubernetes); if it fails the container is stopped"},
    {"preStop",
     Honoured,
     Type::Object,
     &kHookSchema,
     {},
     "within terminationGracePeriodSeconds, of which at least 2 s are left to SIGTERM"},
    {"stopSignal", Refused, Type::String, nullptr, "SIGTERM",
     "not supported by this version: send the signal in a preStop hook"},
};

}  // namespace

constexpr Schema kProbeSchema{"Probe", kProbe};
constexpr Schema kLifecycleSchema{"Lifecycle", kLifecycle};

}  // namespace wherry::manifest
