#include "agent/config/device_id.h"

#include <array>
#include <cstdint>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/files.h"
#include "base/text.h"

namespace wherry::config {
namespace {

using Id = std::array<uint8_t, 16>;

// Wherry's application id, drawn once at random: 6a5b1bc507b048a185ad4bb73c0ed320.
constexpr Id kApplication{0x6a, 0x5b, 0x1b, 0xc5, 0x07, 0xb0, 0x48, 0xa1,
                          0x85, 0xad, 0x4b, 0xb7, 0x3c, 0x0e, 0xd3, 0x20};

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

bool parse_id(std::string_view text, Id& id) {
  if (text.size() != 32) return false;
  bool any = false;
  for (size_t i = 0; i < id.size(); ++i) {
    const int high = hex_value(text[2 * i]), low = hex_value(text[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    id[i] = static_cast<uint8_t>(high << 4 | low);
    any = any || id[i] != 0;
  }
  return any;
}

}  // namespace

Result<std::string> device_id_from(const std::string& file) {
  const Result<std::string> text = read_file(file, 4096);
  if (!text) return fail(text.error());
  Id machine{};
  if (!parse_id(trim(*text), machine)) {
    return fail(Code::FailedPrecondition, file + " holds no machine id");
  }
  // sd_id128_get_machine_app_specific(3): HMAC-SHA256 with the machine id as key, cut to 16 bytes
  // and marked as a random UUID (RFC 9562, version 4).
  std::array<uint8_t, EVP_MAX_MD_SIZE> mac{};
  unsigned size = 0;
  if (HMAC(EVP_sha256(), machine.data(), static_cast<int>(machine.size()), kApplication.data(),
           kApplication.size(), mac.data(), &size) == nullptr) {
    return fail(Code::Internal, "HMAC-SHA256 is not available");
  }
  mac[6] = static_cast<uint8_t>((mac[6] & 0x0f) | 0x40);
  mac[8] = static_cast<uint8_t>((mac[8] & 0x3f) | 0x80);
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string id;
  for (size_t i = 0; i < 16; ++i) {
    id += kDigits[mac[i] >> 4];
    id += kDigits[mac[i] & 15];
  }
  return id;
}

}  // namespace wherry::config
