#pragma once
// One blob from a registry into the store, which verifies it; continued where it broke off.

#include <atomic>
#include <functional>

#include "base/backoff.h"
#include "base/cancel.h"
#include "base/result.h"
#include "runtime/image/backend.h"
#include "runtime/image/blob_turns.h"
#include "runtime/image/registry.h"
#include "runtime/image/slots.h"
#include "runtime/image/throttle.h"

namespace wherry::runtime {

// What the fetches of one pull have in common.
struct FetchContext {
  ImageBackend& backend;
  Registry& registry;
  std::function<std::string()> lease;  // the one to work under now; may change under way
  const Backoff& retry;
  Slots& slots;
  BlobTurns& turns;
  const std::string& source;  // where it comes from, see BlobTurns
  Throttle::Share& share;
  std::atomic<int64_t>& received;  // bytes of all fetches, those thrown away and others' included
  std::atomic<int64_t>& checking;  // bytes that the store reads before any more are asked for
  std::function<void()> arrived;   // all bytes are here, and the store has yet to verify them
};

// Returns with the blob in the store under the lease, whether it had to be fetched or not. Where
// another pull fetches it, waits for its turn, which comes early where that one crawls.
// `done` counts the bytes that are there and falls back when the blob has to start over. Temporary
// failures are retried with backoff: five in a row without progress end it, and so does a registry
// that asks to be left alone for long (Error::retry_after).
// Downloads only while it holds a slot, and none while it waits; then it has a buffer of 256 KiB.
// Errors: as Registry and ImageBackend give them; DataLoss where the bytes do not match digest or
// size.
Status fetch_blob(const FetchContext& context, std::string_view kind, const Descriptor& blob,
                  const StringMap& labels, std::atomic<int64_t>& done, const CancelToken& cancel);

// Worth another attempt without a change on our side.
bool is_temporary(const Error& error);

}  // namespace wherry::runtime
