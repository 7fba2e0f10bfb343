#include "agent/support/archive_writer.h"

#include <cerrno>
#include <utility>

#include <archive.h>
#include <archive_entry.h>

namespace wherry::support {
namespace {

la_ssize_t write_bytes(archive* writer, void* sink, const void* bytes, size_t size) {
  const auto& take = *static_cast<const ByteSink*>(sink);
  if (take({static_cast<const char*>(bytes), size})) return static_cast<la_ssize_t>(size);
  archive_set_error(writer, EPIPE, "nobody takes it");
  return -1;
}

}  // namespace

void ArchiveWriter::Free::operator()(archive* writer) const { archive_write_free(writer); }

ArchiveWriter::ArchiveWriter(ByteSink sink)
    : sink_(std::move(sink)), archive_(archive_write_new()) {
  archive_write_add_filter_gzip(archive_.get());
  archive_write_set_format_pax_restricted(archive_.get());
  archive_write_open(archive_.get(), const_cast<ByteSink*>(&sink_), nullptr, write_bytes, nullptr);
}

// What was not finished is not whole, and must not look so.
ArchiveWriter::~ArchiveWriter() {
  if (archive_) archive_write_fail(archive_.get());
}

Status ArchiveWriter::trouble() const {
  const char* text = archive_error_string(archive_.get());
  return fail(Code::Cancelled, std::string("write the archive: ") + (text == nullptr ? "" : text));
}

Status ArchiveWriter::add(const std::string& name, std::string_view content, WallTime modified) {
  struct Release {
    void operator()(archive_entry* entry) const { archive_entry_free(entry); }
  };
  const std::unique_ptr<archive_entry, Release> entry(archive_entry_new());
  archive_entry_set_pathname(entry.get(), name.c_str());
  archive_entry_set_filetype(entry.get(), AE_IFREG);
  archive_entry_set_perm(entry.get(), 0600);
  archive_entry_set_size(entry.get(), static_cast<la_int64_t>(content.size()));
  const auto seconds = std::chrono::floor<std::chrono::seconds>(modified.time_since_epoch());
  archive_entry_set_mtime(entry.get(), static_cast<time_t>(seconds.count()), 0);
  if (archive_write_header(archive_.get(), entry.get()) != ARCHIVE_OK) return trouble();
  if (archive_write_data(archive_.get(), content.data(), content.size()) < 0) return trouble();
  return {};
}

Status ArchiveWriter::finish() {
  if (archive_write_close(archive_.get()) != ARCHIVE_OK) return trouble();
  archive_.reset();
  return {};
}

}  // namespace wherry::support
