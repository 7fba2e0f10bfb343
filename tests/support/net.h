#pragma once
// Sockets of the test's own, and whether somebody listens and what comes back.

#include <cstdint>
#include <netinet/in.h>
#include <string>

#include "base/fd.h"

namespace wherry::test {

sockaddr_in loopback(int port);  // of 127.0.0.1
// Listens on a free port of 127.0.0.1, which is put into `port`; throws std::runtime_error.
Fd listen_on_loopback(uint16_t& port, int backlog = 64);

bool accepts_unix(const std::string& path);
bool accepts_tcp(int port);  // on 127.0.0.1

// The whole answer to one request on the socket at `path`, until it is closed or silent for half a
// minute: what came of it, "" where nobody listens.
std::string ask_unix(const std::string& path, const std::string& request);
std::string ask_tcp(int port, const std::string& request);  // at 127.0.0.1

}  // namespace wherry::test
