#pragma once
// Is somebody listening, and what does he say?

#include <string>

namespace wherry::test {

bool accepts_unix(const std::string& path);
bool accepts_tcp(int port);  // on 127.0.0.1

// The whole answer to one request on the socket at `path`, until it is closed or silent for half a
// minute: what came of it, "" where nobody listens.
std::string ask_unix(const std::string& path, const std::string& request);
std::string ask_tcp(int port, const std::string& request);  // at 127.0.0.1

}  // namespace wherry::test
