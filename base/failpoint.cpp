#include "base/failpoint.h"

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <fcntl.h>
#include <map>
#include <mutex>
#include <set>
#include <signal.h>
#include <thread>
#include <unistd.h>

#include "base/text.h"

namespace wherry {
namespace {

struct Point {
  std::string action;
  unsigned at = 0;  // 0: every time
  unsigned seen = 0;
};

struct Registry {
  std::mutex mutex;
  std::map<std::string, Point, std::less<>> points;
  std::set<std::string, std::less<>> reached;
  std::string log_path;
  std::string resume_path;
};

std::atomic<bool> armed{false};

Registry& registry() {
  static Registry instance;
  return instance;
}

void note_reached(Registry& all, std::string_view name) {
  if (all.log_path.empty() || !all.reached.emplace(name).second) return;
  const int fd = open(all.log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) return;
  const std::string line = std::string(name) + "\n";
  [[maybe_unused]] const ssize_t written = write(fd, line.data(), line.size());
  close(fd);
}

}  // namespace

void failpoints_arm(std::string_view spec) {
  Registry& all = registry();
  const std::lock_guard lock(all.mutex);
  all.points.clear();
  for (const std::string& item : split(spec, ',')) {
    const size_t equals = item.find('=');
    if (equals == std::string::npos) continue;
    Point point;
    point.action = item.substr(equals + 1);
    if (const size_t at = point.action.find('@'); at != std::string::npos) {
      point.at = static_cast<unsigned>(std::strtoul(point.action.c_str() + at + 1, nullptr, 10));
      point.action.resize(at);
    } else if (point.action == "kill") {
      point.at = 1;
    }
    all.points[item.substr(0, equals)] = point;
  }
  armed.store(!all.points.empty() || !all.log_path.empty(), std::memory_order_relaxed);
}

void failpoints_from_environment() {
  const auto value = [](const char* name) {
    const char* text = std::getenv(name);
    return std::string(text == nullptr ? "" : text);
  };
  {
    Registry& all = registry();
    const std::lock_guard lock(all.mutex);
    all.log_path = value("WHERRY_FAILPOINT_LOG");
    all.resume_path = value("WHERRY_FAILPOINT_RESUME");
  }
  failpoints_arm(value("WHERRY_FAILPOINTS"));
}

Status failpoint(std::string_view name) {
  if (!armed.load(std::memory_order_relaxed)) return {};
  Registry& all = registry();
  std::string action;
  std::string resume_path;
  {
    const std::lock_guard lock(all.mutex);
    note_reached(all, name);
    const auto found = all.points.find(name);
    if (found == all.points.end()) return {};
    Point& point = found->second;
    ++point.seen;
    if (point.at != 0 && point.seen != point.at) return {};
    action = point.action;
    resume_path = all.resume_path;
  }
  if (action == "kill") kill(getpid(), SIGKILL);
  if (action == "error") {
    return fail(Code::Internal, "failpoint " + std::string(name));
  }
  if (action == "pause") {
    while (access(resume_path.c_str(), F_OK) != 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }
  return {};
}

}  // namespace wherry
