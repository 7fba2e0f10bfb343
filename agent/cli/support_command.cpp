// wherry support-bundle: written beside, then given its name, so that half of one is never kept.
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <memory>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "agent/cli/commands.h"
#include "base/quantity.h"

namespace wherry::cli {
namespace {

using Json = nlohmann::ordered_json;

// "wherry-support-pump-7-20261126T235900Z.tar.gz"
std::string default_name(const Session& session) {
  std::string device = "device";
  if (const auto status = session.client.get("/v1/status"); status && status->contains("device")) {
    device = text_of((*status)["device"], "id");
  }
  std::string time = to_rfc3339(session.io.clock.wall()).substr(0, 19);
  std::erase_if(time, [](char c) { return c == '-' || c == ':'; });
  return "wherry-support-" + device + "-" + time + "Z.tar.gz";
}

struct Written {
  Status status;
  int64_t bytes = 0;
};

tl::unexpected<Error> unwritable() {
  return fail(Code::ResourceExhausted,
              std::string("the bundle cannot be written: ") + std::strerror(errno));
}

Written stream_bundle(const Session& session, const std::string& target, std::FILE* file) {
  Written written;
  bool full = false;
  written.status = session.client.stream(target, [&](std::string_view bytes) {
    written.bytes += static_cast<int64_t>(bytes.size());
    full = std::fwrite(bytes.data(), 1, bytes.size(), file) != bytes.size();
    return !full;
  });
  if (written.status && (full || std::fflush(file) != 0)) written.status = unwritable();
  return written;
}

// What can be had where no daemon answers; its own error where that is nothing.
Written write_bundle_without_daemon(const Session& session, const std::string& config,
                                    std::FILE* file, const Error& away) {
  Written written;
  const auto made = ask_daemon_program(config, "--support-bundle");
  if (!made || made->exit_code != 0) {
    written.status = fail(away);
    return written;
  }
  written.bytes = static_cast<int64_t>(made->output.size());
  if (std::fwrite(made->output.data(), 1, made->output.size(), file) != made->output.size() ||
      std::fflush(file) != 0) {
    written.status = unwritable();
    return written;
  }
  report(session, Error(Code::Unavailable,
                        "the daemon does not run: its state, events, documents and log are not in "
                        "the bundle; send the end of journalctl -u wherryd with it, once you have "
                        "looked through it for secrets"));
  return written;
}

Written write_bundle(const Session& session, const SupportArguments& arguments, std::FILE* file) {
  Written written = stream_bundle(
      session, std::string("/v1/support-bundle") + (arguments.logs ? "?logs=true" : ""), file);
  if (written.status || !daemon_is_away(session, written.status.error())) return written;
  const Error away = written.status.error();
  return write_bundle_without_daemon(session, arguments.config, file, away);
}

struct FileCloser {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

int write_through(const Session& session, const SupportArguments& arguments,
                  const std::string& path) {
  const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  const std::unique_ptr<std::FILE, FileCloser> file(fd < 0 ? nullptr : fdopen(fd, "wb"));
  if (!file) {
    return report(session,
                  Error(Code::FailedPrecondition, "write " + path + ": " + std::strerror(errno)));
  }
  const Written written = write_bundle(session, arguments, file.get());
  return written.status ? kDone : report(session, written.status.error());
}

}  // namespace

int write_support_bundle(const Session& session, const SupportArguments& arguments) {
  if (arguments.file == "-") {
    if (session.io.width > 0) {
      return report_usage(session.io, "the bundle is no text: send it to a file or a program");
    }
    const Written written = write_bundle(session, arguments, session.io.out);
    return written.status ? kDone : report(session, written.status.error());
  }
  std::error_code error;
  std::string path = arguments.file.empty() ? default_name(session) : arguments.file;
  if (std::filesystem::is_symlink(path, error))
    path = std::filesystem::weakly_canonical(path, error);
  const auto kind = std::filesystem::status(path, error).type();
  if (kind == std::filesystem::file_type::directory) {
    return report_usage(session.io, path + " is a directory: name a file in it, as " + path +
                                        (path.ends_with('/') ? "" : "/") + default_name(session));
  }
  // A device, such as /dev/stdout, or a pipe is written to; to replace it would break it for all.
  const bool there = kind != std::filesystem::file_type::not_found;
  if (there && kind != std::filesystem::file_type::regular)
    return write_through(session, arguments, path);
  const std::string part = path + ".part";
  // For its owner only: what is in it is nobody else's business. One that is there from before may
  // be somebody else's, or open to others.
  unlink(part.c_str());
  const int fd = open(part.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  std::unique_ptr<std::FILE, FileCloser> file(fd < 0 ? nullptr : fdopen(fd, "wb"));
  if (!file) {
    return report(session,
                  Error(Code::FailedPrecondition, "write " + part + ": " + std::strerror(errno) +
                                                      "; give another place with -f"));
  }
  const Written written = write_bundle(session, arguments, file.get());
  file.reset();
  if (!written.status) {
    unlink(part.c_str());
    return report(session, written.status.error());
  }
  if (rename(part.c_str(), path.c_str()) != 0) {
    const int error = errno;
    unlink(part.c_str());
    return report(session,
                  Error(Code::FailedPrecondition, "name it " + path + ": " + std::strerror(error)));
  }
  if (session.format != Format::Table) {
    print_data(session, Json{{"file", path}, {"bytes", written.bytes}});
    return kDone;
  }
  print(session,
        "wrote " + path + " (" + format_bytes(written.bytes) +
            ")\nSecrets are left out; look through it all the same before you pass it on.\n");
  return kDone;
}

}  // namespace wherry::cli
