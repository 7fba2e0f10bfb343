#pragma once
// The forms that values of the configuration take. InvalidArgument errors say what to write
// instead.

#include "agent/config/keys.h"

namespace wherry::config {

extern const Form kText, kDeviceId, kIdentifier, kRuntime, kPath, kOptionalPath, kSecretPath,
    kSocketPath, kTopic, kKeyFile, kAlpn;
extern const Form kBoolean, kCount, kPercent, kMqttVersion, kSize, kDuration, kInterval, kSeconds;
extern const Form kSubnet, kListen, kLogForward, kLogLevel, kLogFormat, kClock;
extern const Form kBrokers, kGroups, kPaths, kLabels, kSwitches, kTexts, kDevices, kNodeMetrics,
    kContainerMetrics;

}  // namespace wherry::config
