#pragma once
// Is somebody listening?

#include <string>

namespace wherry::test {

bool accepts_unix(const std::string& path);
bool accepts_tcp(int port);  // on 127.0.0.1

}  // namespace wherry::test
