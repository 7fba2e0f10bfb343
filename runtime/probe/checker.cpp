#include "runtime/probe/checker.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cstring>
#include <netdb.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace wherry::runtime {
namespace {

constexpr uint64_t kWake = 0;  // no check has this number
constexpr size_t kPrograms = 32, kHooks = 16, kNames = 4;
constexpr size_t kQueue = 1000;
constexpr int kEvents = 64;
// The container stack kills a program at its timeout and says so. Where it says nothing for so much
// longer, it is in trouble itself, and nothing is known about the container.
constexpr Duration kLastWord = std::chrono::seconds(10);

bool is_address(const std::string& host) {
  in6_addr ignored{};
  return inet_pton(AF_INET, host.c_str(), &ignored) == 1 ||
         inet_pton(AF_INET6, host.c_str(), &ignored) == 1;
}

std::string authority_of(const std::string& host, uint16_t port) {
  const bool v6 = host.find(':') != std::string::npos;
  return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Status resolve(const std::string& host, std::string& address) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(host.c_str(), nullptr, &hints, &found);
  if (error != 0) return fail(Code::Unavailable, host + ": " + gai_strerror(error));
  char text[INET6_ADDRSTRLEN] = {};
  getnameinfo(found->ai_addr, found->ai_addrlen, text, sizeof text, nullptr, 0, NI_NUMERICHOST);
  freeaddrinfo(found);
  address = text;
  return {};
}

std::string what(const Check& check) {
  const Handler& handler = check.handler;
  const std::string host = handler.host.empty() ? check.address : handler.host;
  const std::string place = authority_of(host, handler.port);
  switch (handler.kind) {
    case Handler::Kind::HttpGet:
      return (handler.https ? "https://" : "http://") + place + handler.path;
    case Handler::Kind::TcpSocket:
      return "port " + place;
    case Handler::Kind::Grpc:
      return "gRPC " + place;
    default:
      return handler.command.empty() ? "" : handler.command.front();
  }
}

}  // namespace

Checker::Checker(Execs& execs, const Clock& clock)
    : execs_(execs),
      clock_(clock),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      wake_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      programs_("probe-exec", kPrograms, kQueue),
      starts_("start-exec", kHooks, kQueue),
      stops_("stop-exec", kHooks, kQueue),
      names_("probe-dns", kNames, kQueue) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = kWake;
  epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event);
}

Checker::~Checker() { stop_.cancel(); }

void Checker::wake() {
  const uint64_t one = 1;
  static_cast<void>(!write(wake_.get(), &one, sizeof one));
}

void Checker::answer(Answer answer) {
  {
    const std::lock_guard lock(mutex_);
    answers_.push_back(std::move(answer));
  }
  wake();
}

void Checker::run(const Check& check, CheckDone done) {
  const uint64_t id = next_++;
  const bool program = check.handler.kind == Handler::Kind::Exec;
  const MonoTime deadline = clock_.now() + check.timeout + (program ? kLastWord : Duration::zero());
  running_[id] = {check, std::move(done), deadline, nullptr};
  deadlines_[{deadline, id}] = true;
  if (program) return run_program(id, check);
  if (check.handler.kind == Handler::Kind::Sleep) return;
  const std::string host = check.handler.host.empty() ? check.address : check.handler.host;
  if (is_address(host)) return connect(id, host);
  look_up(id, host);
}

void Checker::run_program(uint64_t id, const Check& check) {
  Executor& pool = check.lane == Lane::PostStart ? starts_
                   : check.lane == Lane::PreStop ? stops_
                                                 : programs_;
  const bool posted = pool.post([this, id, check, stop = stop_] {
    if (stop.cancelled()) return;
    const auto result =
        execs_.exec({check.container_id, check.handler.command, check.timeout}, stop);
    Status status;
    if (!result && result.error().code() == Code::Unavailable) {
      status = fail(Code::Cancelled, result.error().full());  // the container stack is away
    } else if (!result) {
      status = fail(result.error());
    } else if (result->exit_code != 0) {
      std::string said = result->err.empty() ? result->out : result->err;
      while (!said.empty() && said.back() == '\n') said.pop_back();
      status = fail(Code::Unavailable, "exit code " + std::to_string(result->exit_code) +
                                           (said.empty() ? "" : ": " + said));
    }
    answer({id, std::move(status), ""});
  });
  if (!posted) finish(id, fail(Code::Cancelled, "too many programs run already"));
}

void Checker::look_up(uint64_t id, const std::string& host) {
  const bool posted = names_.post([this, id, host] {
    std::string address;
    Status status = resolve(host, address);
    answer({id, std::move(status), std::move(address)});
  });
  if (!posted) finish(id, fail(Code::Cancelled, "too many names are looked up already"));
}

void Checker::connect(uint64_t id, const std::string& address) {
  Running& running = running_.at(id);
  const Handler& handler = running.check.handler;
  const std::string host = handler.host.empty() ? running.check.address : handler.host;
  const std::string authority = authority_of(host, handler.port);
  std::unique_ptr<Dialogue> dialogue;
  if (handler.kind == Handler::Kind::HttpGet) {
    dialogue = http_dialogue(handler, authority, running.check.lane != Lane::Probe);
  } else if (handler.kind == Handler::Kind::Grpc) {
    dialogue = grpc_dialogue(handler, authority);
  }
  auto opened = Connection::open(address, handler.port, handler.https, std::move(dialogue));
  if (!opened) return finish(id, fail(opened.error()));
  running.connection = std::move(*opened);
  running.writing = true;
  epoll_event event{};
  event.events = EPOLLOUT;
  event.data.u64 = id;
  epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, running.connection->fd(), &event);
}

void Checker::go_on(uint64_t id) {
  const auto found = running_.find(id);
  if (found == running_.end() || !found->second.connection) return;
  Connection& connection = *found->second.connection;
  if (const auto verdict = connection.step()) return finish(id, *verdict);
  if (connection.wants_write() == found->second.writing) return;
  found->second.writing = connection.wants_write();
  epoll_event event{};
  event.events = found->second.writing ? EPOLLOUT : EPOLLIN;
  event.data.u64 = id;
  epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, connection.fd(), &event);
}

void Checker::finish(uint64_t id, const Status& status) {
  const auto found = running_.find(id);
  if (found == running_.end()) return;
  const Running running = std::move(found->second);
  deadlines_.erase({running.deadline, id});
  running_.erase(found);
  const bool wrap = !status && status.error().code() != Code::Cancelled;
  running.done(wrap ? Status(fail(status.error(), what(running.check))) : status);
}

void Checker::take_answers() {
  std::vector<Answer> answers;
  {
    const std::lock_guard lock(mutex_);
    answers.swap(answers_);
  }
  for (Answer& each : answers) {
    if (!running_.contains(each.id)) continue;  // it had timed out
    if (each.status && !each.address.empty()) {
      connect(each.id, each.address);
    } else {
      finish(each.id, each.status);
    }
  }
}

void Checker::expire() {
  const MonoTime now = clock_.now();
  while (!deadlines_.empty() && deadlines_.begin()->first.first <= now) {
    const uint64_t id = deadlines_.begin()->first.second;
    const Check& check = running_.at(id).check;
    if (check.handler.kind == Handler::Kind::Sleep) {
      finish(id, {});
    } else if (check.handler.kind == Handler::Kind::Exec) {
      finish(id, fail(Code::Cancelled, "the container stack does not answer"));
    } else {
      finish(id,
             fail(Code::DeadlineExceeded, "no answer within " + format_duration(check.timeout)));
    }
  }
}

void Checker::wait(std::optional<MonoTime> until) {
  if (!deadlines_.empty()) {
    const MonoTime first = deadlines_.begin()->first.first;
    if (!until || first < *until) until = first;
  }
  int timeout = -1;
  if (until) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*until - clock_.now()).count();
    timeout = static_cast<int>(std::clamp<int64_t>(left, 0, 60'000));
  }
  epoll_event events[kEvents];
  const int count = epoll_wait(epoll_.get(), events, kEvents, timeout);
  for (int i = 0; i < count; ++i) {
    if (events[i].data.u64 != kWake) {
      go_on(events[i].data.u64);
      continue;
    }
    uint64_t ignored = 0;
    static_cast<void>(!read(wake_.get(), &ignored, sizeof ignored));
  }
  take_answers();
  expire();
}

}  // namespace wherry::runtime
