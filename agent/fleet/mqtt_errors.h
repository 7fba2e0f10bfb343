#pragma once
// What the MQTT library, the broker and the kernel say, in one reason and a sentence with what to
// do.

#include <string>

#include "base/result.h"

namespace wherry {

// The reason of an error that is about one message and not about the connection.
inline constexpr const char* kMessageTooLarge = "MessageTooLarge";

// A return code of libmosquitto (enum mosq_err_t). `saved_errno` is errno right after the call.
Error library_error(int code, int saved_errno);
// A return code of getaddrinfo(3).
Error lookup_error(int code);
// An errno of the socket.
Error socket_error(int number);
// Where without TLS there came no CONNACK but this, or, below 0, nothing before the end.
Error silent_error(int first_byte);
// CONNACK other than 0: of MQTT 3.1.1 (3.2.2.3, values 1 to 5) or MQTT 5 (3.2.2.2, 0x80 and up).
Error connack_error(int code);
// The reason code of a DISCONNECT from the broker (MQTT 5, 3.14.2.1).
Error disconnect_error(int code);

// The broker ended the connection, as it does over a message that it will not have: MQTT 3.1.1 has
// no other way to say so. Not where it went away, or the network.
bool has_hung_up(const Error& error);

}  // namespace wherry
