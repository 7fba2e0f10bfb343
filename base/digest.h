#pragma once
// SHA-256 and the OCI digest notation "sha256:<64 hex digits>" (OCI image-spec,
// descriptor.md#digests).

#include <memory>
#include <string>
#include <string_view>

namespace wherry {

// Incremental; call finish_hex() once, at the end.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void update(std::string_view bytes);
  std::string finish_hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string sha256_hex(std::string_view bytes);
std::string sha256_digest(std::string_view bytes);  // "sha256:…"
bool is_sha256_digest(std::string_view text);

}  // namespace wherry
