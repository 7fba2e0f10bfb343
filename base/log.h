#pragma once
// Structured logging: a sentence and key=value pairs. Never a secret.
//   log_info("workload started", {{"workload", name}, {"revision", "42"}});

#include <initializer_list>
#include <string>
#include <string_view>

namespace wherry {

enum class LogLevel { Debug, Info, Warn, Error, Off };

struct LogField {
  std::string_view key;
  std::string value;
};
using LogFields = std::initializer_list<LogField>;

// `format`: "text" (time, level, message on stderr), "journald" (syslog priority prefixes, no time:
// the journal has its own) or "auto" (journald where stderr is the journal, else text).
void log_setup(LogLevel level, std::string_view format);
void log_set_level(LogLevel level);

void log(LogLevel level, std::string_view message, LogFields fields = {});
inline void log_debug(std::string_view m, LogFields f = {}) { log(LogLevel::Debug, m, f); }
inline void log_info(std::string_view m, LogFields f = {}) { log(LogLevel::Info, m, f); }
inline void log_warn(std::string_view m, LogFields f = {}) { log(LogLevel::Warn, m, f); }
inline void log_error(std::string_view m, LogFields f = {}) { log(LogLevel::Error, m, f); }

}  // namespace wherry
