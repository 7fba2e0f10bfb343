#include "agent/support/archive_writer.h"

#include <utility>

#include <archive.h>
#include <archive_entry.h>

namespace wherry::support {

void ArchiveWriter::Free::operator()(archive* writer) const { archive_write_free(writer); }

ArchiveWriter::ArchiveWriter(ByteSink sink)
    : taker_{std::move(sink)}, archive_(archive_write_new()) {
  // The library keeps what it compresses with where it is told of a failure: it never is.
  const auto write = [](archive*, void* taker, const void* bytes, size_t size) {
    auto& to = *static_cast<Taker*>(taker);
    to.gone = to.gone || !to.sink({static_cast<const char*>(bytes), size});
    return static_cast<la_ssize_t>(size);
  };
  archive_write_add_filter_gzip(archive_.get());
  archive_write_set_format_pax_restricted(archive_.get());
  archive_write_open(archive_.get(), &taker_, nullptr, write, nullptr);
}

// What was not finished is not whole, and must not look so.
ArchiveWriter::~ArchiveWriter() { taker_.gone = true; }

Status ArchiveWriter::trouble() const {
  if (taker_.gone) return fail(Code::Cancelled, "write the archive: nobody takes it");
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
  if (taker_.gone) return trouble();
  return {};
}

Status ArchiveWriter::finish() {
  if (archive_write_close(archive_.get()) != ARCHIVE_OK || taker_.gone) return trouble();
  archive_.reset();
  return {};
}

}  // namespace wherry::support
