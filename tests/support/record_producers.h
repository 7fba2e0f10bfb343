#pragma once
// Programs that hand in records through the data API, and note in a file what was accepted.

#include <atomic>
#include <cstdint>
#include <fstream>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/stream_judge.h"

namespace wherry::test {

// Each has a stream of its own, "s0" and so on, of the workload `pump`. Requests that are not
// answered with success are repeated for ever, as they are.
class RecordProducers {
 public:
  // Sends one request to the workload's socket; the whole answer, "" where there is none.
  using Ask = std::function<std::string(const std::string& request)>;

  RecordProducers(Ask ask, std::string notes_file, size_t count, uint32_t seed);
  ~RecordProducers();
  RecordProducers(const RecordProducers&) = delete;
  RecordProducers& operator=(const RecordProducers&) = delete;

  // What is under way is repeated until it is accepted; then they end. The last n of each stream.
  std::vector<uint32_t> finish();
  uint64_t accepted() const { return accepted_; }
  uint64_t refused() const { return refused_; }  // requests without success
  static std::string stream(size_t producer) { return "data/pump/s" + std::to_string(producer); }
  // Reads the file.
  std::vector<StreamJudge::Note> notes() const;

 private:
  void produce(size_t producer, uint32_t seed);
  bool hand_in(const std::string& stream, const std::string& body, StreamJudge::Note& note);
  void write_down(const StreamJudge::Note& note);

  const Ask ask_;
  const std::string notes_file_;
  std::mutex mutex_;
  std::ofstream file_;
  std::atomic<bool> stopping_{false}, giving_up_{false};
  std::atomic<uint64_t> accepted_{0}, refused_{0};
  std::vector<uint32_t> last_;  // by producer
  std::vector<std::thread> threads_;
};

}  // namespace wherry::test
