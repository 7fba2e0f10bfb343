#include "tests/support/record_producers.h"

#include <random>

#include <nlohmann/json.hpp>

#include "tests/support/wait.h"

namespace wherry::test {
namespace {

using nlohmann::json;

constexpr uint32_t kMostAtOnce = 20;
constexpr Millis kPause{10};  // between requests

void pause(Millis time) {
  (void)wait_until([] { return false; }, time);
}

}  // namespace

RecordProducers::RecordProducers(Ask ask, std::string notes_file, size_t count, uint32_t seed)
    : ask_(std::move(ask)),
      notes_file_(std::move(notes_file)),
      file_(notes_file_, std::ios::app),
      last_(count) {
  for (size_t i = 0; i < count; ++i) {
    threads_.emplace_back([this, i, seed] { produce(i, seed + static_cast<uint32_t>(i)); });
  }
}

RecordProducers::~RecordProducers() {
  giving_up_ = true;
  finish();
}

std::vector<uint32_t> RecordProducers::finish() {
  stopping_ = true;
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  return last_;
}

void RecordProducers::produce(size_t producer, uint32_t seed) {
  std::minstd_rand random(seed + 1);
  uint32_t n = 1;
  while (!stopping_) {
    StreamJudge::Note note{stream(producer), 0, 1 + static_cast<uint32_t>(random()) % kMostAtOnce,
                           n};
    std::string body;
    for (uint32_t i = 0; i < note.count; ++i) {
      body += json{{"n", n + i}, {"value", random()}, {"unit", "kPa"}}.dump() + "\n";
    }
    while (!hand_in("s" + std::to_string(producer), body, note)) {
      ++refused_;
      if (giving_up_) return;
      pause(kPause);
    }
    write_down(note);
    n += note.count;
    accepted_ += note.count;
    last_[producer] = n - 1;
    pause(kPause);
  }
}

bool RecordProducers::hand_in(const std::string& stream, const std::string& body,
                              StreamJudge::Note& note) {
  const std::string answer =
      ask_("POST /v1/streams/" + stream +
           " HTTP/1.1\r\nHost: data\r\nContent-Type: application/x-ndjson\r\nContent-Length: " +
           std::to_string(body.size()) + "\r\n\r\n" + body);
  const size_t head = answer.find("\r\n\r\n");
  if (head == std::string::npos || answer.find(" 200 ") > answer.find("\r\n")) return false;
  const json said = json::parse(answer.substr(head + 4), nullptr, false);
  if (!said.is_object() || said.value("count", 0U) != note.count) return false;
  note.first = said.value("first", uint64_t{0});
  return true;
}

void RecordProducers::write_down(const StreamJudge::Note& note) {
  const std::lock_guard lock(mutex_);
  file_ << note.stream << ' ' << note.first << ' ' << note.count << ' ' << note.n << std::endl;
}

std::vector<StreamJudge::Note> RecordProducers::notes() const {
  std::vector<StreamJudge::Note> notes;
  std::ifstream file(notes_file_);
  StreamJudge::Note note;
  while (file >> note.stream >> note.first >> note.count >> note.n) notes.push_back(note);
  return notes;
}

}  // namespace wherry::test
