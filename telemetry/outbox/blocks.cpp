#include "telemetry/outbox/blocks.h"

#include <algorithm>
#include <utility>

namespace wherry::telemetry {
namespace {

// What is committed together is one block, up to this size: few rows to write and to remove, and
// still no more than a batch may take.
constexpr size_t kBlockBytes = 32 << 10;

}  // namespace

Result<int64_t> put_blocks(QueueFile& file, int64_t stream, uint64_t first, const Lines& lines) {
  int64_t bytes = 0;
  Lines block;
  const auto put = [&]() -> Status {
    bytes += static_cast<int64_t>(block.text.size()) + kBlockOverhead;
    const uint64_t number = std::exchange(first, first + block.count);
    return file.put(stream, number, std::exchange(block, {}));
  };
  for (size_t begin = 0; begin <= lines.text.size();) {
    const size_t end = std::min(lines.text.find('\n', begin), lines.text.size());
    const size_t length = end - begin;
    if (!block.empty() && block.text.size() + length >= kBlockBytes) {
      if (Status done = put(); !done) return fail(done.error());
    }
    block.add(std::string_view(lines.text).substr(begin, length));
    begin = end + 1;
  }
  if (Status done = put(); !done) return fail(done.error());
  return bytes;
}

bool add_block(Chunk& chunk, const Block& block, uint64_t after, size_t max_bytes) {
  if (!block.whole) return true;
  if (chunk.first != 0 && block.first != chunk.last() + 1) return false;
  const uint64_t start = std::max(block.first, after + 1);
  if (chunk.first == 0) chunk.first = start;
  std::string_view rest = block.lines;
  rest.remove_prefix(prefix_of(rest, static_cast<uint32_t>(start - block.first)));
  if (chunk.lines.text.size() + 1 + rest.size() <= max_bytes) {
    chunk.lines.add(rest);
    chunk.lines.count += static_cast<uint32_t>(block.last - start);
    return true;
  }
  if (chunk.lines.text.size() >= std::max(max_bytes / 2, size_t{1})) return false;
  for (uint64_t number = start; number <= block.last; ++number) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    if (!chunk.lines.empty() && chunk.lines.text.size() + line.size() > max_bytes) return false;
    chunk.lines.add(line);
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
  }
  return chunk.lines.text.size() < max_bytes;
}

}  // namespace wherry::telemetry
