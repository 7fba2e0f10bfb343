#include "telemetry/outbox/room.h"

#include <algorithm>
#include <vector>

namespace wherry::telemetry {
namespace {

// Records that are thinned in one go; more would only take memory.
constexpr uint32_t kThinAtOnce = 64;
constexpr size_t kThinBytes = 64 << 10;
constexpr int64_t kLeastLogBytes = 128 << 10;

struct Piece {
  uint64_t first = 0, last = 0;
  std::vector<std::string> lines;
  uint64_t records = 0;  // those of damaged blocks, too, which have no lines
  int64_t bytes = 0;
};

void take_lines(Piece& piece, const Block& block) {
  if (piece.first == 0) piece.first = block.first;
  piece.last = block.last;
  piece.records += block.last - block.first + 1;
  piece.bytes += static_cast<int64_t>(block.lines.size()) + kBlockOverhead;
  if (!block.whole) return;
  for (size_t begin = 0; begin <= block.lines.size();) {
    const size_t end = std::min(block.lines.find('\n', begin), block.lines.size());
    piece.lines.push_back(block.lines.substr(begin, end - begin));
    begin = end + 1;
  }
}

// The number of the last record of the older half.
Result<uint64_t> middle_of(QueueFile& file, const Stream& stream) {
  uint64_t seen = 0, middle = 0;
  const Status looked = file.extents(stream.row.id, [&](const QueueFile::Extent& extent) {
    seen += extent.last - extent.first + 1;
    if (seen > stream.records / 2) return false;
    middle = extent.last;
    return true;
  });
  if (!looked) return fail(looked.error());
  return middle;
}

// The next records behind `after` that may be thinned: of the older half, not sent yet.
Result<Piece> next_piece(QueueFile& file, const Stream& stream, uint64_t after) {
  Piece piece;
  size_t bytes = 0;
  const auto middle = middle_of(file, stream);
  if (!middle) return fail(middle.error());
  const Status read = file.read(stream.row.id, after, [&](const Block& block) {
    if (block.last > *middle) return false;
    if (block.first <= stream.sent) return true;  // a part of it has been sent
    take_lines(piece, block);
    bytes += block.lines.size();
    return piece.lines.size() < kThinAtOnce && bytes < kThinBytes;
  });
  if (!read) return fail(read.error());
  return piece;
}

// Every second record goes; those that stay take the last of the numbers. False: there are not two
// that could be.
Result<bool> thin(QueueFile& file, Stream& stream) {
  const uint64_t oldest = std::max(stream.sent, stream.row.acked);
  Result<Piece> piece = next_piece(file, stream, std::max(oldest, stream.thinned));
  if (!piece) return fail(piece.error());
  if (piece->lines.size() < 2 && stream.thinned > oldest) {
    stream.thinned = oldest;
    piece = next_piece(file, stream, oldest);
    if (!piece) return fail(piece.error());
  }
  const size_t count = piece->lines.size();
  if (count < 2) return false;
  Lines kept;
  for (size_t i = 0; i < count; ++i) {
    if ((count - 1 - i) % 2 == 0) kept.add(piece->lines[i]);
  }
  const uint64_t first = piece->last - kept.count + 1;
  Status done = file.remove_blocks(stream.row.id, piece->first - 1, piece->last);
  if (done) done = file.put_gap(stream.row.id, piece->first - 1, first - 1, "Thinned");
  if (done) done = file.put(stream.row.id, first, kept);
  if (!done) return fail(done.error());
  // Between the blocks there are numbers that went before.
  const uint64_t gone = piece->records - kept.count;
  stream.thinned = piece->last;
  stream.records -= gone;
  stream.dropped += gone;
  stream.bytes += static_cast<int64_t>(kept.text.size()) + kBlockOverhead - piece->bytes;
  return true;
}

Status drop_oldest(QueueFile& file, Stream& stream, int64_t wanted) {
  uint64_t last = 0, records = 0;
  int64_t bytes = 0;
  const Status looked = file.extents(stream.row.id, [&](const QueueFile::Extent& extent) {
    if (bytes >= wanted || extent.last + 1 >= stream.row.next) return false;
    last = extent.last;
    bytes += extent.bytes;
    records += extent.last - extent.first + 1;
    return true;
  });
  if (!looked || last == 0) return looked;
  Status done = file.remove_blocks(stream.row.id, 0, last);
  if (done) done = file.put_gap(stream.row.id, 0, last, "QueueFull");
  if (!done) return done;
  stream.records -= records;
  stream.dropped += records;
  stream.bytes -= bytes;
  return {};
}

}  // namespace

int64_t share_of(Kind kind, const OutboxOptions& options) {
  switch (kind) {
    case Kind::Data:
      return options.max_bytes / 2;
    case Kind::Telemetry:
      return options.max_bytes / 4;
    case Kind::Logs:
      return std::max(kLeastLogBytes, std::min(options.max_bytes / 8, options.max_log_bytes));
    case Kind::Events:
      break;
  }
  return options.max_bytes / 8;
}

Status free_room(QueueFile& file, Stream& stream, int64_t excess, int64_t share) {
  const int64_t before = stream.bytes;
  const int64_t wanted = excess + share / 16;
  const Stream given = stream;
  return file.transact(false, [&]() -> Status {
    stream = given;
    while (stream.kind == Kind::Telemetry && before - stream.bytes < wanted) {
      const Result<bool> thinned = thin(file, stream);
      if (!thinned) return fail(thinned.error());
      if (!*thinned) break;
    }
    if (before - stream.bytes >= excess) return {};
    return drop_oldest(file, stream, wanted - (before - stream.bytes));
  });
}

Status remove_acknowledged(QueueFile& file, Stream& stream, uint64_t last) {
  last = std::min(last, stream.row.next - 1);
  if (last <= stream.row.acked) return {};
  const auto gone = file.measure(stream.row.id, 0, last);
  if (!gone) return fail(gone.error());
  stream.row.acked = last;
  stream.sent = std::max(stream.sent, last);
  stream.records -= gone->records;
  stream.bytes -= gone->bytes;
  Status done = file.remove_blocks(stream.row.id, 0, last);
  if (done) done = file.remove_gaps(stream.row.id, last);
  return done ? file.mark(stream.row) : done;
}

}  // namespace wherry::telemetry
