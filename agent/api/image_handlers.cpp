// Images: what is there, and archives in.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <map>
#include <optional>
#include <sys/statvfs.h>
#include <unistd.h>
#include <utility>

#include <nlohmann/json.hpp>

#include "agent/api/handlers.h"
#include "base/files.h"
#include "base/log.h"
#include "base/quantity.h"
#include "base/text.h"

namespace wherry {
namespace {

using http::Problem;
using Json = nlohmann::ordered_json;

constexpr std::string_view kPrefix = "upload-";
constexpr size_t kMaxFileName = 200;
constexpr size_t kPartBytes = 64u << 10;
constexpr int64_t kCheckSpaceEvery = 16ll << 20;

// The last part of what the client calls its file: images that have no name in the archive are
// called after it.
std::string file_name(const http::Request& request) {
  const std::string* const given = request.param("file");
  std::string name = given == nullptr ? std::string() : *given;
  name.erase(0, name.rfind('/') + 1);
  if (name.empty() || name == "." || name == ".." || name.find('\0') != std::string::npos) {
    return "image";
  }
  return name.size() > kMaxFileName ? name.substr(name.size() - kMaxFileName) : name;
}

tl::unexpected<Error> fail_errno(const std::string& what, int error) {
  const bool full = error == ENOSPC || error == EDQUOT;
  return fail(full ? Code::ResourceExhausted : Code::Internal, what + ": " + std::strerror(error));
}

// A file in a directory of its own that is gone when this is, whatever happens in between.
class Upload {
 public:
  static Result<std::unique_ptr<Upload>> create(const std::string& parent,
                                                const std::string& name) {
    if (Status made = make_directories(parent, 0700); !made) return fail(made.error());
    std::string directory = parent + "/" + std::string(kPrefix) + "XXXXXX";
    if (mkdtemp(directory.data()) == nullptr) {
      return fail_errno("make " + directory, errno);
    }
    const std::string path = directory + "/" + name;
    const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0) return std::make_unique<Upload>(directory, path, fd);
    const int error = errno;
    rmdir(directory.c_str());
    return fail_errno("make " + path, error);
  }
  Upload(std::string directory, std::string path, int fd)
      : directory_(std::move(directory)), path_(std::move(path)), fd_(fd) {}
  ~Upload() {
    close(fd_);
    unlink(path_.c_str());
    rmdir(directory_.c_str());
  }
  Upload(const Upload&) = delete;
  Upload& operator=(const Upload&) = delete;

  const std::string& path() const { return path_; }

  Status write(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t written = ::write(fd_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return fail_errno("write " + path_, errno);
      bytes.remove_prefix(static_cast<size_t>(written));
    }
    return {};
  }
  int64_t free_bytes() const {
    struct statvfs info {};
    if (fstatvfs(fd_, &info) != 0) return 0;
    return static_cast<int64_t>(info.f_bavail) * static_cast<int64_t>(info.f_frsize);
  }

 private:
  const std::string directory_, path_;
  const int fd_;
};

Json images_json(const std::vector<runtime::Image>& images) {
  Json list = Json::array();
  for (const runtime::Image& image : images) list.push_back(image_json(image));
  return {{"images", std::move(list)}};
}

Problem too_large(int64_t cap) { return {413, "the archive is larger than " + format_bytes(cap)}; }

Problem disk_full(int64_t reserve) {
  return {507,
          "the archive does not fit: " + format_bytes(reserve) +
              " of the disk are kept free; remove images or files",
          "InsufficientStorage"};
}

Problem body_problem(const Error& error) {
  if (error.code() == Code::DeadlineExceeded) return {408, error.full()};
  return {400, error.full()};
}

std::optional<Problem> check_size(const http::Request& request, const ApiOptions& options,
                                  const Upload& upload, Announced::Share& announced) {
  if (!request.chunked && request.content_length == 0) {
    return Problem{411, "send an OCI or docker archive (tar, plain or compressed) as the body"};
  }
  if (request.content_length > static_cast<uint64_t>(options.max_upload_bytes)) {
    return too_large(options.max_upload_bytes);
  }
  const bool fits = announced.take(static_cast<int64_t>(request.content_length),
                                   [&] { return upload.free_bytes() - options.disk_reserve; });
  return fits ? std::nullopt : std::optional(disk_full(options.disk_reserve));
}

std::optional<Problem> receive(HandlerContext& context, http::Exchange& exchange, Upload& upload) {
  const ApiOptions& options = context.options;
  Announced::Share announced(context.announced);
  if (auto problem = check_size(exchange.request(), options, upload, announced)) return problem;
  std::string part(kPartBytes, '\0');
  int64_t total = 0, checked = 0;
  while (true) {
    const auto got = exchange.read_body(part.data(), part.size());
    if (!got) return body_problem(got.error());
    if (*got == 0) break;
    total += static_cast<int64_t>(*got);
    if (total > options.max_upload_bytes) return too_large(options.max_upload_bytes);
    if (total - checked >= kCheckSpaceEvery) {
      checked = total;
      const auto free = [&] { return upload.free_bytes() - options.disk_reserve; };
      if (!announced.take(0, free)) return disk_full(options.disk_reserve);
    }
    if (Status written = upload.write({part.data(), *got}); !written) {
      return http::problem_from(written.error());
    }
    announced.written(static_cast<int64_t>(*got));
    if (exchange.cancel().cancelled()) return Problem{503, "the agent is stopping"};
  }
  if (total == 0) return Problem{400, "the body is empty; send an OCI or docker archive"};
  return std::nullopt;
}

// Where we put the archive meanwhile tells its owner nothing.
Problem import_problem(const Error& error, const std::string& path) {
  Problem problem = http::problem_from(error);
  replace_all(problem.detail, path, "the archive");
  return problem;
}

// Several workloads may wait for one image, and somebody may pull it by hand.
std::map<std::string, PullView> pulls_in(const StateView& state,
                                         const std::vector<PullView>& by_hand) {
  std::map<std::string, PullView> all;
  for (const WorkloadView& workload : state.workloads) {
    for (const PullView& pull : workload.pulls) all.emplace(pull.image, pull);
  }
  for (const PullView& pull : by_hand) all.emplace(pull.image, pull);
  return all;
}

}  // namespace

// Taken before it is looked at: of two at once that do not fit together none may get through.
bool Announced::Share::take(int64_t bytes, const std::function<int64_t()>& free) {
  const int64_t sum = all_.bytes_.fetch_add(bytes) + bytes;
  bytes_ += bytes;
  if (free() >= sum) return true;
  written(bytes);
  return false;
}

void Announced::Share::written(int64_t bytes) {
  bytes = std::min(bytes, bytes_);
  all_.bytes_.fetch_sub(bytes);
  bytes_ -= bytes;
}

Json image_json(const runtime::Image& image) {
  return {{"name", image.name}, {"digest", image.digest}, {"sizeBytes", image.size}};
}

// What is there now, with what the reconciler knew of it last.
void answer_images(const HandlerContext& context, http::Exchange& exchange) {
  const auto images = context.deps.images.list();
  if (!images) return exchange.respond(http::problem_from(images.error()));
  const auto state = context.deps.board.get();
  Json json = images_json(*images);
  for (Json& image : json["images"]) {
    const auto known =
        std::find_if(state->images.begin(), state->images.end(), [&](const ImageView& view) {
          return view.name == image["name"] && view.digest == image["digest"];
        });
    const bool found = known != state->images.end();
    const std::string last_used = found ? to_rfc3339(known->last_used) : std::string();
    image["users"] = found ? known->users : std::vector<std::string>();
    image["lastUsed"] = last_used.empty() ? Json(nullptr) : Json(last_used);
    image["kept"] = found ? Json(to_string(known->kept)) : Json(nullptr);
  }
  json["pulls"] = Json::array();
  for (const auto& [image, pull] : pulls_in(*state, context.shown_pulls.list())) {
    json["pulls"].push_back(pull_json(pull));
  }
  answer_json(exchange, 200, json.dump(-1, ' ', false, Json::error_handler_t::replace));
}

void prune_images(const HandlerContext& context, http::Exchange& exchange) {
  if (!context.deps.prune) {
    return exchange.respond(Problem{501, "images cannot be pruned here"});
  }
  const WallTime now = context.deps.clock.wall();
  if (const auto problem = refuse_arguments(exchange, CommandKind::Prune, now)) {
    return exchange.respond(*problem);
  }
  const auto watch = context.watch(exchange);
  const auto report = context.deps.prune(exchange.cancel());
  if (!report) return exchange.respond(http::problem_from(report.error()));
  Json removed = Json::array();
  for (const runtime::Image& image : report->removed) removed.push_back(image_json(image));
  answer_json(exchange, 200,
              Json{{"removed", std::move(removed)}, {"freedBytes", report->freed_bytes}}.dump());
}

void import_images(HandlerContext& context, http::Exchange& exchange) {
  if (exchange.peer().tcp && !context.options.tcp_imports) {
    return exchange.respond(Problem{
        403,
        "documents have to be signed here (security.require_signature), and an archive could "
        "put other bytes behind the names in them: import it at the device, over its socket",
        "SignatureRequired"});
  }
  const auto slot = context.uploads.take();
  if (!slot) {
    return exchange.respond(Problem{503,
                                    "other archives are being imported; try again",
                                    "TooManyUploads",
                                    {{"Retry-After", "10"}}});
  }
  auto upload = Upload::create(context.options.upload_dir, file_name(exchange.request()));
  if (!upload) return exchange.respond(http::problem_from(upload.error()));
  if (auto problem = receive(context, exchange, **upload)) {
    return exchange.respond(*problem);
  }
  const auto watch = context.watch(exchange);
  const auto images = context.deps.images.import_archive((*upload)->path(), exchange.cancel());
  if (context.deps.on_images_changed) context.deps.on_images_changed();
  if (!images) return exchange.respond(import_problem(images.error(), (*upload)->path()));
  for (const runtime::Image& image : *images) {
    log_info("image imported", {{"image", image.name}, {"digest", image.digest}});
  }
  answer_json(exchange, 201, images_json(*images).dump());
}

void clear_uploads(const std::string& directory) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(directory, ignored)) {
    if (!entry.path().filename().string().starts_with(kPrefix)) continue;
    std::filesystem::remove_all(entry.path(), ignored);
  }
}

}  // namespace wherry
