#include "agent/support/bundle.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "agent/support/sections.h"
#include "base/base64.h"

namespace wherry::support {
namespace {

constexpr int64_t kLogLines = 500;            // of each workload
constexpr size_t kMostLogBytes = 256u << 10;  // the end of them

constexpr const char* kReadMe =
    "What wherryd %VERSION% knew of this device when it was asked for a support bundle.\n"
    "\n"
    "check.json is the place to begin: what is not ok there has a sentence on what to do.\n"
    "Values of Secrets, passwords, tokens and keys are left out: they were not written here,\n"
    "and where one of them stood in another text it was replaced by (left out). What programs\n"
    "in containers print is here only where it was asked for (--logs); look through it before\n"
    "you pass it on.\n";

std::string read_me(const std::string& version) {
  std::string text = kReadMe;
  const std::string_view mark = "%VERSION%";
  return text.replace(text.find(mark), mark.size(), version);
}

// The last lines, as far as there is room.
Result<std::string> log_of(runtime::Logs& logs, const std::string& pod, const CancelToken& cancel) {
  runtime::LogQuery query;
  query.pod = pod;
  query.tail = kLogLines;
  query.timestamps = true;
  std::string text;
  const Status read = logs.read(
      query,
      [&](std::string_view bytes) {
        text += bytes;
        if (text.size() > 2 * kMostLogBytes) text.erase(0, text.size() - kMostLogBytes);
        return true;
      },
      cancel);
  if (!read && read.error().code() != Code::NotFound) return fail(read.error());
  if (text.size() <= kMostLogBytes) return text;
  text.erase(0, text.size() - kMostLogBytes);
  return text.erase(0, text.find('\n') + 1);
}

}  // namespace

std::string Bundle::name() const {
  std::string time = to_rfc3339(parts_.clock.wall()).substr(0, 19);
  std::erase_if(time, [](char c) { return c == '-' || c == ':'; });
  return "wherry-support-" + parts_.config.device.id + "-" + time + "Z";
}

Status Bundle::write(const BundleWishes& wishes, const ByteSink& sink,
                     const CancelToken& cancel) const {
  return write(name(), wishes, sink, cancel);
}

Status Bundle::write(const std::string& name, const BundleWishes& wishes, const ByteSink& sink,
                     const CancelToken& cancel) const {
  const Scrubber scrubber = known_secrets(parts_);
  std::vector<Section> all = sections(parts_, wishes);
  if (wishes.logs && !wishes.brief) {
    for (const WorkloadView& each : parts_.board.get()->workloads) {
      all.push_back(
          {"logs/" + each.name + ".log", [this, pod = each.name](const CancelToken& token) {
             return log_of(parts_.logs, pod, token);
           }});
    }
  }
  const std::string folder = name + "/";
  const WallTime now = parts_.clock.wall();
  ArchiveWriter archive(sink);
  if (Status added = archive.add(folder + "README.txt", read_me(parts_.version), now); !added) {
    return added;
  }
  std::string missing;
  for (const Section& section : all) {
    if (cancel.cancelled()) return fail(Code::Cancelled, "the bundle is no longer wanted");
    const auto text = section.make(cancel);
    if (!text) {
      missing += section.name + ": " + text.error().full() + "\n";
      continue;
    }
    if (Status added = archive.add(folder + section.name, scrubber.scrub(*text), now); !added) {
      return added;
    }
  }
  if (!missing.empty()) {
    if (Status added = archive.add(folder + "missing.txt", scrubber.scrub(missing), now); !added) {
      return added;
    }
  }
  return archive.finish();
}

Result<std::string> Bundle::answer(const CancelToken& cancel) const {
  size_t bytes = 0;
  const std::string name = this->name();
  for (const bool brief : {false, true}) {
    std::string archive;
    bytes = 0;
    const Status written = write(
        name, {.logs = false, .brief = brief},
        [&](std::string_view part) {
          bytes += part.size();
          if (bytes <= kMostAnswer) archive += part;
          return true;
        },
        cancel);
    if (!written) return fail(written.error());
    if (bytes > kMostAnswer) continue;
    const nlohmann::ordered_json json{{"name", name + ".tar.gz"},
                                      {"bytes", archive.size()},
                                      {"brief", brief},
                                      {"archive", base64_encode(archive)}};
    return json.dump();
  }
  return fail(Code::ResourceExhausted,
              "the bundle has " + std::to_string(bytes) + " bytes, and a message carries " +
                  std::to_string(kMostAnswer) +
                  ": get it on the device, by wherry support-bundle or GET /v1/support-bundle");
}

}  // namespace wherry::support
