#pragma once
// With which certificate we show ourselves to a server that wants one. Private to the HTTP client
// of this room.

#include <memory>
#include <string>
#include <vector>

#include <openssl/ssl.h>

#include "base/result.h"
#include "runtime/image/hosts.h"

namespace wherry::runtime {

// " (reason)" of the first error that OpenSSL has noted on this thread, which is then forgotten;
// "" where there is none.
std::string tls_failure();

class ClientCertificates {
 public:
  // Error: FailedPrecondition that names the files that are no pair.
  Status load(const std::vector<ClientPair>& pairs);
  // For a handshake whose server wants one: the first of those that the server says it knows the
  // issuer of. Where it knows none of them, the first: what it then says helps more than that none
  // was shown. Of no pairs: none.
  void show(SSL* ssl) const;

 private:
  struct Free {
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  };
  std::vector<std::unique_ptr<SSL_CTX, Free>> loaded_;  // each holds one
};

}  // namespace wherry::runtime
