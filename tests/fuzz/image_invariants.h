#pragma once
// What must hold for any bytes whatsoever given to the image room. Used by the fuzz targets and, on
// their corpora and on mutations of them, by the unit tests. Each: empty where all holds, else what
// does not.

#include <initializer_list>
#include <string>
#include <string_view>

#include "base/result.h"

namespace wherry {

std::string broken_reference(std::string_view text);
// An index, a manifest or a config.
std::string broken_image_document(std::string_view json);
std::string broken_hosts_toml(std::string_view toml);
// A WWW-Authenticate header, a token server's answer, docker's config.json.
std::string broken_access(std::string_view text);
// A URL and, from the second line on, where it redirects to.
std::string broken_url(std::string_view text);
// The file of an image archive.
std::string broken_archive(std::string_view bytes);
// An OCI layout, as a directory and as an archive, which must come to the same. Its files are
// written one after the other, each behind a line "%% NAME"; the name "blob" stands for a file
// below blobs/sha256. "@N" is the digest of the Nth file and "#N" its size, for N before this file,
// so that what a mutation makes still fits together.
std::string broken_layout(std::string_view text);

// An error has one of these codes and a message that can be shown: one line of UTF-8, not endless.
std::string broken_error(const Error& error, std::initializer_list<Code> codes);

}  // namespace wherry
