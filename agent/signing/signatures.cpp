#include "agent/signing/signatures.h"

#include "agent/signing/jws.h"

namespace wherry {
namespace {

Result<PublicKey> find_key(const std::string& dir, const std::string& kid) {
  auto key = read_public_key(dir + "/" + kid + ".pem");
  if (key) return key;
  if (key.error().code() == Code::NotFound) {
    return fail(Code::PermissionDenied, "the key \"" + kid + "\" is not trusted on this device: " +
                                            dir + " has no " + kid + ".pem");
  }
  return fail(key.error(), "the key \"" + kid + "\" is not used");
}

}  // namespace

Result<Opened> Signatures::open(std::string message, size_t most) const {
  if (!is_signed(message)) {
    if (!options_.required) return Opened{std::move(message), ""};
    return fail(Code::PermissionDenied,
                "it is not signed, and this device accepts signed ones only "
                "(security.require_signature): sign it with wherry sign");
  }
  auto verified = verify_jws(
      message, [this](const std::string& kid) { return find_key(options_.keys_dir, kid); }, most);
  if (!verified) return fail(verified.error());
  return Opened{std::move(verified->payload), std::move(verified->kid)};
}

}  // namespace wherry
