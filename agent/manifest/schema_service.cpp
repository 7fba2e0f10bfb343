// A Service (Kubernetes API v1, core).

#include "agent/manifest/schema.h"

namespace wherry::manifest {
namespace {

using enum Support;

constexpr std::string_view kNoBalancer =
    "a device has no load balancer of a cloud in front of it: leave it out";
constexpr std::string_view kChosen = "the agent chooses the address, of network.service_subnet";

constexpr Field kServicePort[] = {
    {"name", Honoured, Type::String, nullptr, {}, "required where there are several"},
    {"protocol", Honoured, Type::String, nullptr, "TCP|UDP|SCTP"},
    {"port", Honoured, Type::Integer, nullptr, {}, "1 to 65535", true},
    {"targetPort",
     Honoured,
     Type::Port,
     nullptr,
     {},
     "of the container, by number or by name; default: port. A Pod that has no port of that name "
     "gets no traffic"},
    {"nodePort",
     Honoured,
     Type::Integer,
     nullptr,
     {},
     "30000 to 32767, with type NodePort; without it the agent chooses one and keeps to it"},
    {"appProtocol", Warned, Type::String, nullptr, {}, "connections are handed on as they are"},
};
constexpr Schema kServicePortSchema{"ServicePort", kServicePort};

constexpr Field kClientIp[] = {
    {"timeoutSeconds", Honoured, Type::Integer, nullptr, {}, "1 to 86400, default 10800"},
};
constexpr Schema kClientIpSchema{"ClientIPConfig", kClientIp};

constexpr Field kAffinityConfig[] = {
    {"clientIP", Honoured, Type::Object, &kClientIpSchema},
};
constexpr Schema kAffinityConfigSchema{"SessionAffinityConfig", kAffinityConfig};

constexpr Field kServiceSpec[] = {
    {"type", Honoured, Type::String, nullptr, "ClusterIP|NodePort",
     "LoadBalancer is not supported by this version, as it needs a cloud in front of the device: "
     "use NodePort; nor is ExternalName, as names are kept in hosts files: use the external name "
     "itself"},
    {"selector",
     Honoured,
     Type::StringMap,
     nullptr,
     {},
     "labels of Pods of this device, at least one: addresses cannot be given by hand"},
    {"ports",
     Honoured,
     Type::Objects,
     &kServicePortSchema,
     {},
     "at least one; a headless Service needs none"},
    {"clusterIP", Honoured, Type::String, nullptr, "None|", kChosen},
    {"clusterIPs", Refused, Type::Any, nullptr, {}, kChosen},
    {"publishNotReadyAddresses", Honoured, Type::Boolean},
    {"sessionAffinity", Honoured, Type::String, nullptr, "None|ClientIP"},
    {"sessionAffinityConfig", Honoured, Type::Object, &kAffinityConfigSchema},
    {"externalTrafficPolicy", Honoured, Type::String, nullptr, "Cluster|Local",
     "all Pods are local; with Local they see the address of a client outside of the device"},
    {"internalTrafficPolicy", Honoured, Type::String, nullptr, "Cluster|Local",
     "all Pods are local"},
    {"ipFamilyPolicy", Honoured, Type::String, nullptr,
     "SingleStack|PreferDualStack|RequireDualStack",
     "Services have IPv4 addresses only: PreferDualStack makes do with them, as on a cluster with "
     "one family; RequireDualStack is refused"},
    {"ipFamilies", Honoured, Type::Strings, nullptr, "IPv4|IPv6",
     "IPv4; with PreferDualStack IPv6, too, of which nothing comes; IPv6 alone is refused"},
    {"externalIPs",
     Refused,
     Type::Any,
     nullptr,
     {},
     "the device answers on its own addresses only: use type NodePort"},
    {"externalName",
     Refused,
     Type::Any,
     nullptr,
     {},
     "an alias needs a DNS server, and names are kept in hosts files here: use the external name "
     "itself"},
    {"loadBalancerIP", Refused, Type::Any, nullptr, {}, kNoBalancer},
    {"loadBalancerClass", Refused, Type::Any, nullptr, {}, kNoBalancer},
    {"loadBalancerSourceRanges",
     Refused,
     Type::Any,
     nullptr,
     {},
     "it restricts who may connect, and nothing here would: use the device's firewall"},
    {"allocateLoadBalancerNodePorts", Warned, Type::Boolean, nullptr, {}, kNoBalancer},
    {"healthCheckNodePort", Refused, Type::Integer, nullptr, {}, kNoBalancer},
    {"trafficDistribution", Warned, Type::String, nullptr, {}, "all Pods are on this device"},
};

constexpr Field kService[] = {
    {"apiVersion", Honoured, Type::String, nullptr, "v1", {}, true},
    {"kind", Honoured, Type::String, nullptr, "Service", {}, true},
    {"metadata", Honoured, Type::Object, &kObjectMetaSchema, {}, {}, true},
    {"spec", Honoured, Type::Object, &kServiceSpecSchema, {}, {}, true},
    {"status",
     Warned,
     Type::Object,
     nullptr,
     {},
     "the agent reports the state; it does not read it"},
};

}  // namespace

constexpr Schema kServiceSpecSchema{"Service.spec", kServiceSpec};
constexpr Schema kServiceSchema{"Service", kService};

}  // namespace wherry::manifest
