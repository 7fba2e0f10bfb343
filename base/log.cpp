#include "base/log.h"

#include <algorithm>
#include <cstdlib>

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace wherry {
namespace {

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::Debug:
      return spdlog::level::debug;
    case LogLevel::Info:
      return spdlog::level::info;
    case LogLevel::Warn:
      return spdlog::level::warn;
    case LogLevel::Error:
      return spdlog::level::err;
    case LogLevel::Off:
      return spdlog::level::off;
  }
  return spdlog::level::info;
}

// As wide as the widest, so that messages begin in one column.
std::string_view level_word(LogLevel level) {
  switch (level) {
    case LogLevel::Debug:
      return "debug ";
    case LogLevel::Info:
      return "info  ";
    case LogLevel::Warn:
      return "warn  ";
    default:
      return "error ";
  }
}

// sd-daemon(3): "<N>" at the start of a line is the syslog priority of that line.
std::string_view priority_prefix(LogLevel level) {
  switch (level) {
    case LogLevel::Debug:
      return "<7>";
    case LogLevel::Info:
      return "<6>";
    case LogLevel::Warn:
      return "<4>";
    default:
      return "<3>";
  }
}

bool journald_format = false;

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

// Without what would end the line or move a terminal's cursor: containers have a say in messages.
void append_on_line(std::string& line, char c) {
  if (c == '\n')
    line += "\\n";
  else if (c == '\r')
    line += "\\r";
  else if (c == '\t')
    line += "\\t";
  else
    line += is_control(c) ? '?' : c;
}

void append_value(std::string& line, std::string_view value) {
  const bool plain = !value.empty() && value.find_first_of(" \"=\\") == std::string_view::npos &&
                     std::none_of(value.begin(), value.end(), is_control);
  if (plain) {
    line += value;
    return;
  }
  line += '"';
  for (const char c : value) {
    if (c == '"' || c == '\\') line += '\\';
    append_on_line(line, c);
  }
  line += '"';
}

}  // namespace

void log_setup(LogLevel level, std::string_view format) {
  journald_format =
      format == "journald" || (format == "auto" && std::getenv("JOURNAL_STREAM") != nullptr);
  auto logger =
      std::make_shared<spdlog::logger>("wherry", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_pattern(journald_format ? "%v" : "%Y-%m-%dT%H:%M:%S.%e%z %v");
  logger->flush_on(spdlog::level::debug);
  spdlog::set_default_logger(std::move(logger));
  log_set_level(level);
}

void log_set_level(LogLevel level) { spdlog::set_level(to_spdlog(level)); }

void log(LogLevel level, std::string_view message, LogFields fields) {
  if (!spdlog::should_log(to_spdlog(level))) return;
  std::string line;
  line += journald_format ? priority_prefix(level) : level_word(level);
  for (const char c : message) append_on_line(line, c);
  for (const LogField& field : fields) {
    line += ' ';
    line += field.key;
    line += '=';
    append_value(line, field.value);
  }
  spdlog::log(to_spdlog(level), "{}", line);
}

}  // namespace wherry
