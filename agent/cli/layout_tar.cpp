#include "agent/cli/layout_tar.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>

namespace wherry::cli {
namespace {

namespace fs = std::filesystem;

// POSIX ustar. Names are at most "blobs/sha256/" and 64 digits, and an upload ends at 8 GiB: no
// extension is needed, nor a library that would cost every command its start.
constexpr size_t kBlock = 512;
constexpr size_t kNameSize = 100;
constexpr uint64_t kMostBytes = (uint64_t{8} << 30) - 1;

uint64_t padded(uint64_t size) { return (size + kBlock - 1) / kBlock * kBlock; }

void put(std::array<char, kBlock>& block, size_t at, std::string_view text) {
  std::copy(text.begin(), text.end(), block.begin() + static_cast<std::ptrdiff_t>(at));
}

std::string octal(uint64_t value, int digits) {
  std::array<char, 24> text{};
  std::snprintf(text.data(), text.size(), "%0*llo", digits, static_cast<unsigned long long>(value));
  return text.data();
}

std::array<char, kBlock> header(const std::string& name, uint64_t size) {
  std::array<char, kBlock> block{};
  put(block, 0, name);
  put(block, 100, octal(0644, 7));
  put(block, 108, octal(0, 7));
  put(block, 116, octal(0, 7));
  put(block, 124, octal(size, 11));
  put(block, 136, octal(0, 11));
  put(block, 148, "        ");
  block[156] = '0';
  put(block, 257, std::string_view("ustar\00000", 8));
  unsigned sum = 0;
  for (const char c : block) sum += static_cast<unsigned char>(c);
  put(block, 148, octal(sum, 6) + '\0');
  return block;
}

struct FileCloser {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

}  // namespace

Status LayoutTar::add(const std::string& directory, const std::string& name) {
  File file{name, directory + "/" + name, 0};
  std::error_code error;
  file.size = fs::file_size(file.path, error);
  if (error) return fail(Code::FailedPrecondition, "read " + file.path + ": " + error.message());
  if (name.size() > kNameSize || file.size > kMostBytes) {
    return fail(Code::InvalidArgument, file.path + " is too large for an image");
  }
  files_.push_back(std::move(file));
  return {};
}

Result<LayoutTar> LayoutTar::open(const std::string& directory) {
  for (const char* part : {"oci-layout", "index.json", "blobs"}) {
    std::error_code error;
    if (fs::exists(directory + "/" + part, error)) continue;
    return fail(Code::InvalidArgument, directory + " is no OCI image layout: it has no " + part +
                                           "; give such a directory, or an archive (tar)");
  }
  LayoutTar tar;
  std::vector<std::string> names{"oci-layout", "index.json"};
  std::error_code error;
  const auto links = fs::directory_options::follow_directory_symlink;
  for (fs::recursive_directory_iterator at(directory + "/blobs", links, error), end;
       !error && at != end; at.increment(error)) {
    std::error_code ignored;
    if (at->is_regular_file(ignored)) {
      names.push_back(at->path().string().substr(directory.size() + 1));
    }
  }
  if (error) return fail(Code::FailedPrecondition, "read " + directory + ": " + error.message());
  std::sort(names.begin() + 2, names.end());
  for (const std::string& name : names) {
    if (Status added = tar.add(directory, name); !added) return fail(added.error());
  }
  return tar;
}

uint64_t LayoutTar::size() const {
  uint64_t size = 2 * kBlock;
  for (const File& file : files_) size += kBlock + padded(file.size);
  return size;
}

Status LayoutTar::write_file(const File& file, const Sink& sink) {
  const std::unique_ptr<std::FILE, FileCloser> opened(std::fopen(file.path.c_str(), "rbe"));
  if (!opened) {
    return fail(Code::FailedPrecondition, "read " + file.path + ": " + std::strerror(errno));
  }
  std::array<char, 64u << 10> part{};
  uint64_t left = file.size;
  while (left > 0) {
    const size_t wanted = static_cast<size_t>(std::min<uint64_t>(left, part.size()));
    const size_t got = std::fread(part.data(), 1, wanted, opened.get());
    if (got == 0) return fail(Code::FailedPrecondition, file.path + " changed while it was sent");
    if (!sink({part.data(), got})) return fail(Code::Cancelled, "nobody takes the archive");
    left -= got;
  }
  const std::string padding(static_cast<size_t>(padded(file.size) - file.size), '\0');
  if (!padding.empty() && !sink(padding)) return fail(Code::Cancelled, "nobody takes the archive");
  return {};
}

Status LayoutTar::write(const Sink& sink) const {
  for (const File& file : files_) {
    const auto head = header(file.name, file.size);
    if (!sink({head.data(), head.size()})) return fail(Code::Cancelled, "nobody takes the archive");
    if (Status written = write_file(file, sink); !written) return written;
  }
  if (!sink(std::string(2 * kBlock, '\0'))) {
    return fail(Code::Cancelled, "nobody takes the archive");
  }
  return {};
}

}  // namespace wherry::cli
