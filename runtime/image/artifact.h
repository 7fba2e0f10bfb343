#pragma once
// OCI artifacts that are no container images: models, data sets, whatever ORAS and its like push
// (image-spec 1.1, manifest.md#guidelines-for-artifact-usage). What becomes of their blobs:
//  - with a title (annotation org.opencontainers.image.title) a file of that name; only what ORAS
//    marks as a packed directory (io.deis.oras.content.unpack) is unpacked. For a title alone says
//    file, also where the media type says tar: that is the type ORAS gives to any file.
//  - without a title its media type has to say that it is a tar, and it is unpacked.
//  - the empty blob that stands for "no content" becomes nothing.
// In the order of the manifest; what comes later covers what was there before.

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "runtime/image/backend.h"

namespace wherry::runtime {

// The type of an OCI layer that is packed the same way; empty where `type` does not say tar.
std::string tar_type(std::string_view type);

// The path a title means, cleaned: "./a//b" -> "a/b". InvalidArgument where it is absolute, goes up
// ("..") or is empty, too long, no UTF-8 or has control characters.
Result<std::string> artifact_path(std::string_view title);

// Decides what becomes of one blob: a file (Descriptor::file) or a layer to unpack (media_type is
// that of an OCI layer then). InvalidArgument where it can be neither.
Status place_blob(Descriptor& blob, const StringMap& annotations);
bool is_empty_blob(const Descriptor& blob, const StringMap& annotations);

// InvalidArgument where two blobs want one path, or one of them a directory in another's place.
Status check_paths(const std::vector<Descriptor>& blobs);

// Names of the snapshots, bottom first, of blobs that were placed. They say what is in them as
// chain ids do, but come of the blobs: no config tells what an artifact's layers unpack to.
std::vector<std::string> artifact_chains(const std::vector<Descriptor>& blobs);

}  // namespace wherry::runtime
