#pragma once
// One answer to a LogQuery: the containers' logs merged by time, then, where asked, what follows.

#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/result.h"
#include "runtime/log/log_cursor.h"
#include "runtime/runtime.h"

namespace wherry::runtime {

class LogReader {
 public:
  // `directory` is the Pod's; `query` and `sink` must outlive this.
  LogReader(std::string directory, const LogQuery& query, const Logs::LineSink& sink,
            CancelToken cancel);
  Status run();

 private:
  // Cursors for logs that appeared since; new ones start at their last `tail` lines.
  Status find_logs(int64_t tail);
  // False when the sink or the token says stop.
  bool print_merged();
  Status print_tail(bool& more);
  bool print(const LogEntry& entry);
  bool flush();
  LogCursor* earliest();
  Status follow(class DirectoryWatch& watch);

  const std::string directory_;
  const LogQuery& query_;
  const Logs::LineSink& sink_;
  const CancelToken cancel_;
  const std::string since_;  // in the form of a record's time; empty: from the start
  std::vector<LogCursor> cursors_;
  std::string batch_;
};

}  // namespace wherry::runtime
