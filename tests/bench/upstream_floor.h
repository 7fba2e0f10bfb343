#pragma once
// What SQLite and MQTT do by themselves, with nothing of ours around them.

#include <cstddef>
#include <string>

#include "base/clock.h"

namespace wherry::bench {

// Records a second: one connection, WAL, synchronous=FULL, a transaction for each `batch` of
// `record`.
double bare_sqlite(const std::string& path, const std::string& record, int batch, Duration lasts);

inline constexpr int kWindow = 16;  // messages in flight, as the agent has

// Messages a second: QoS 1, `size` bytes each, never more than kWindow without their PUBACK, until
// the last has its own. Throws where one is refused.
double bare_mqtt(int port, size_t size, int messages);
// The same where each message is read from a SQLite file at `path` and removed from it when it has
// its PUBACK, 32 at a time and without a sync.
double durable_mqtt(int port, const std::string& path, size_t size, int messages);

}  // namespace wherry::bench
