// wherry images
#include <algorithm>
#include <filesystem>

#include <nlohmann/json.hpp>

#include "agent/cli/commands.h"
#include "agent/cli/table.h"
#include "agent/cli/text_width.h"
#include "agent/reconcile/pull_view.h"
#include "base/quantity.h"
#include "base/text.h"

namespace wherry::cli {
namespace {

using Json = nlohmann::ordered_json;

// "0123456789ab": the column says that it is a digest.
std::string short_hex(const std::string& digest) {
  const std::string text = short_digest(digest);
  return text.substr(text.find(':') + 1);
}

// "…/pump-controller:2.14.3": the end of a name says the most. Names are ASCII.
std::string short_name(const std::string& name, size_t width) {
  constexpr size_t kLeast = 20;
  const size_t columns = std::max(width, kLeast);
  if (width == 0 || name.size() <= columns) return name;
  return "…" + name.substr(name.size() - columns + 1);
}

// What the other columns of the table leave for the name; 0: as much as it likes.
size_t room_for_name(size_t width) {
  constexpr size_t kOthers = 10 + 12 + 9 + 16 + 4 * 2;  // size, digest, last used, kept
  return width == 0 ? 0 : std::max(width, kOthers + 1) - kOthers;
}

// "running: web, queue": why it stays, and for whom.
std::string kept_text(const Json& image) {
  std::vector<std::string> users;
  for (const Json& user : list_of(image, "users")) {
    if (user.is_string()) users.push_back(user.get<std::string>());
  }
  return text_of(image, "kept") + (users.empty() ? "" : ": " + join(users, ", "));
}

// "pump.tar" of /x/pump.tar, also of a directory that is named as "." or with a slash at its end.
std::string base_name(const std::string& path) {
  std::error_code error;
  auto whole = std::filesystem::absolute(path, error).lexically_normal();
  if (!whole.has_filename()) whole = whole.parent_path();
  return whole.filename();
}

}  // namespace

std::string short_digest(const std::string& digest) {
  const size_t colon = digest.find(':');
  return colon == std::string::npos ? digest : digest.substr(0, colon + 1 + 12);
}

int list_images(const Session& session) {
  const auto answer = session.client.get("/v1/images");
  if (!answer) return report(session, answer.error());
  if (session.format != Format::Table) {
    print_data(session, *answer);
    return kDone;
  }
  Table table({"NAME", "SIZE", "DIGEST", "LAST USED", "KEPT"});
  for (const Json& image : list_of(*answer, "images")) {
    table.add({short_name(text_of(image, "name"), room_for_name(session.io.width)),
               format_bytes(number_of(image, "sizeBytes")), short_hex(text_of(image, "digest")),
               human_age(text_of(image, "lastUsed"), session.io.clock), kept_text(image)});
  }
  const bool none = list_of(*answer, "images").empty();
  print(session, none ? "No images.\n" : table.render(session.io.width));
  if (list_of(*answer, "pulls").empty()) return kDone;
  Table pulls({"PULLING", "PROGRESS"});
  for (const Json& pull : list_of(*answer, "pulls")) {
    const PullView view{text_of(pull, "image"), number_of(pull, "doneBytes"),
                        number_of(pull, "totalBytes"), number_of(pull, "bytesPerSecond")};
    pulls.add({printable(view.image), progress_text({view})});
  }
  print(session, "\n" + pulls.render(session.io.width));
  return kDone;
}

int import_image(const Session& session, const std::string& path) {
  std::string target = "/v1/images";
  if (path != "-") target += "?file=" + escape_query(base_name(path));
  const auto answer = session.client.post_file(target, path);
  if (!answer) {
    const int code = report(session, answer.error());
    return code == kUsage ? kFailed : code;  // it is the archive that is not good
  }
  if (session.format != Format::Table) {
    print_data(session, *answer);
    return kDone;
  }
  for (const Json& image : list_of(*answer, "images")) {
    print(session, "imported " + printable(text_of(image, "name")) + " (" +
                       format_bytes(number_of(image, "sizeBytes")) + ", " +
                       short_digest(text_of(image, "digest")) + ")\n");
  }
  return kDone;
}

int prune_images(const Session& session) {
  const auto answer = session.client.post("/v1/images:prune");
  if (!answer) return report(session, answer.error());
  if (session.format != Format::Table) {
    print_data(session, *answer);
    return kDone;
  }
  const Json& removed = list_of(*answer, "removed");
  for (const Json& image : removed) {
    print(session, "removed " + printable(text_of(image, "name")) + "\n");
  }
  print(session, removed.empty() ? "Nothing to remove: every image is needed.\n"
                                 : format_bytes(number_of(*answer, "freedBytes")) + " freed\n");
  return kDone;
}

}  // namespace wherry::cli
