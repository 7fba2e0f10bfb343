// Probes and hooks on real sockets, and on programs of a container stack in memory.

#include "runtime/probe/prober.h"

#include <arpa/inet.h>
#include <atomic>
#include <condition_variable>
#include <future>
#include <mutex>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include "base/fd.h"
#include "runtime/fake/fake_runtime.h"
#include "tests/support/certificates.h"
#include "tests/support/net.h"
#include "tests/support/process.h"
#include "tests/support/wait.h"

namespace wherry::runtime {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

using test::listen_on_loopback;

// Answers every connection with `answer`; with none it says nothing and keeps them open.
class Server {
 public:
  explicit Server(std::string answer)
      : answer_(std::move(answer)), socket_(listen_on_loopback(port)) {
    thread_ = std::thread([this] { serve(); });
  }
  ~Server() {
    stop_ = true;
    thread_.join();
  }
  void answer(std::string text) {
    const std::lock_guard lock(mutex_);
    answer_ = std::move(text);
  }
  std::string last_request() {
    const std::lock_guard lock(mutex_);
    return request_;
  }

  uint16_t port = 0;
  std::atomic<int> asked{0};

 private:
  void serve() {
    std::vector<Fd> open;
    while (!stop_) {
      pollfd waiting{socket_.get(), POLLIN, 0};
      if (poll(&waiting, 1, 10) <= 0) continue;
      Fd client(accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      ++asked;
      const std::lock_guard lock(mutex_);
      if (answer_.empty()) {
        open.push_back(std::move(client));
        continue;
      }
      char bytes[4096];
      const ssize_t got = recv(client.get(), bytes, sizeof bytes, 0);
      if (got > 0) request_.assign(bytes, static_cast<size_t>(got));
      static_cast<void>(send(client.get(), answer_.data(), answer_.size(), MSG_NOSIGNAL));
    }
  }

  std::mutex mutex_;
  std::string answer_, request_;
  std::atomic<bool> stop_{false};
  Fd socket_;
  std::thread thread_;
};

class ProberTest : public testing::Test {
 protected:
  ProberTest() {
    images_.add("i:1");
    prober_ = make_prober(runtime_, clock_);
    prober_->listen({[this](const ProbeNews& news) {
                       const std::lock_guard lock(mutex_);
                       news_.push_back(news);
                     },
                     [this](const HookDone& done) {
                       const std::lock_guard lock(mutex_);
                       hooks_.push_back(done);
                     }});
  }
  ~ProberTest() override { prober_.reset(); }

  static Handler on_port(Handler::Kind kind, uint16_t port) {
    Handler handler;
    handler.kind = kind;
    handler.port = port;
    return handler;
  }
  static Handler program(std::vector<std::string> argv) {
    Handler handler;
    handler.command = std::move(argv);
    return handler;
  }
  static Probe quick(Handler check) {
    Probe probe;
    probe.check = std::move(check);
    probe.period = milliseconds(20);
    probe.timeout = seconds(5);
    probe.failure_threshold = 2;
    return probe;
  }
  ProbeTarget target(const std::string& id, ContainerSpec spec) {
    spec.name = "app";
    return {id,          "web",        std::make_shared<const ContainerSpec>(std::move(spec)),
            "127.0.0.1", clock_.now(), false};
  }
  ContainerSpec ready_by(Handler check) {
    ContainerSpec spec;
    spec.readiness = quick(std::move(check));
    return spec;
  }
  // A container of the stack in memory, for programs.
  std::string started() {
    PodSpec pod;
    pod.name = "web";
    pod.host_network = true;
    pod.containers.emplace_back();
    pod.containers[0].name = "app";
    pod.containers[0].image = "i:1";
    EXPECT_TRUE(runtime_.prepare_pod(pod, {}));
    return runtime_.start_container(pod, pod.containers[0], 0, {}).value().id;
  }

  // Waits for the news of that container number `index`.
  ProbeNews news(const std::string& id, size_t index = 0) {
    ProbeNews found;
    EXPECT_TRUE(test::wait_until([&] {
      const std::lock_guard lock(mutex_);
      size_t count = 0;
      for (const ProbeNews& each : news_) {
        if (each.container_id != id || count++ != index) continue;
        found = each;
        return true;
      }
      return false;
    }));
    return found;
  }
  HookDone hook(size_t index = 0) {
    EXPECT_TRUE(test::wait_until([&] {
      const std::lock_guard lock(mutex_);
      return hooks_.size() > index;
    }));
    const std::lock_guard lock(mutex_);
    return hooks_.size() > index ? hooks_[index] : HookDone{};
  }

  SystemClock clock_;
  FakeImages images_;
  FakeRuntime runtime_{images_, clock_};
  std::mutex mutex_;
  std::vector<ProbeNews> news_;
  std::vector<HookDone> hooks_;
  std::unique_ptr<Health> prober_;
};

TEST_F(ProberTest, HttpFollowsTheServersMood) {
  Server server("HTTP/1.1 503 No\r\n\r\n");
  prober_->watch({target("a", ready_by(on_port(Handler::Kind::HttpGet, server.port)))});
  EXPECT_EQ(news("a").kind, ProbeNews::Kind::NotReady);
  EXPECT_THAT(news("a").message, HasSubstr("HTTP status 503"));
  EXPECT_THAT(news("a").message, HasSubstr("http://127.0.0.1:" + std::to_string(server.port)));
  server.answer("HTTP/1.1 200 OK\r\n\r\n");
  EXPECT_EQ(news("a", 1).kind, ProbeNews::Kind::Ready);
  server.answer("HTTP/1.1 500 No\r\n\r\n");
  EXPECT_EQ(news("a", 2).kind, ProbeNews::Kind::NotReady);
  EXPECT_THAT(server.last_request(), HasSubstr("Connection: close"));
}

TEST_F(ProberTest, NothingListensOrAPortIsOpen) {
  uint16_t port = 0;
  { const Fd closed = listen_on_loopback(port); }
  Server server("");
  prober_->watch({target("closed", ready_by(on_port(Handler::Kind::TcpSocket, port))),
                  target("open", ready_by(on_port(Handler::Kind::TcpSocket, server.port)))});
  EXPECT_EQ(news("open").kind, ProbeNews::Kind::Ready);
  EXPECT_EQ(news("closed").kind, ProbeNews::Kind::NotReady);
  EXPECT_THAT(news("closed").message, HasSubstr("Connection refused"));
}

TEST_F(ProberTest, AHangingServerCostsItsTimeoutAndNobodyElse) {
  Server silent(""), good("HTTP/1.1 200 OK\r\n\r\n");
  ContainerSpec hanging;
  hanging.liveness = quick(on_port(Handler::Kind::HttpGet, silent.port));
  hanging.liveness->timeout = milliseconds(200);
  std::vector<ProbeTarget> targets;
  for (int i = 0; i < 50; ++i) targets.push_back(target("bad-" + std::to_string(i), hanging));
  targets.push_back(target("good", ready_by(on_port(Handler::Kind::HttpGet, good.port))));
  prober_->watch(targets);
  EXPECT_EQ(news("good").kind, ProbeNews::Kind::Ready);
  EXPECT_EQ(news("bad-49").kind, ProbeNews::Kind::LivenessFailed);
  EXPECT_THAT(news("bad-49").message, HasSubstr("no answer within 200ms"));
}

TEST_F(ProberTest, ANameIsLookedUpAndHeadersAreSent) {
  Server server("HTTP/1.1 200 OK\r\n\r\n");
  Handler handler = on_port(Handler::Kind::HttpGet, server.port);
  handler.host = "localhost";
  handler.path = "/up?a=b";
  handler.headers = {{"X-Probe", "yes"}};
  prober_->watch({target("a", ready_by(handler))});
  EXPECT_EQ(news("a").kind, ProbeNews::Kind::Ready);
  EXPECT_THAT(server.last_request(), HasSubstr("GET /up?a=b HTTP/1.1\r\n"));
  EXPECT_THAT(server.last_request(), HasSubstr("X-Probe: yes\r\n"));
}

TEST_F(ProberTest, StartupComesFirstThenTheOthers) {
  const std::string id = started();
  Server live("HTTP/1.1 200 OK\r\n\r\n"), start("HTTP/1.1 503 No\r\n\r\n");
  ContainerSpec spec = ready_by(program({"true"}));
  spec.startup = quick(on_port(Handler::Kind::HttpGet, start.port));
  spec.startup->failure_threshold = 1000;
  spec.liveness = quick(on_port(Handler::Kind::HttpGet, live.port));
  prober_->watch({target(id, spec)});
  ASSERT_TRUE(test::wait_until([&] { return start.asked > 2; }));
  EXPECT_EQ(live.asked, 0);
  start.answer("HTTP/1.1 200 OK\r\n\r\n");
  EXPECT_EQ(news(id).kind, ProbeNews::Kind::Started);
  EXPECT_EQ(news(id, 1).kind, ProbeNews::Kind::Ready);
  ASSERT_TRUE(test::wait_until([&] { return live.asked > 2; }));
  live.answer("HTTP/1.1 500 No\r\n\r\n");
  EXPECT_EQ(news(id, 2).kind, ProbeNews::Kind::LivenessFailed);
  const int asked = start.asked;
  prober_->watch({});
  EXPECT_EQ(start.asked, asked) << "it has passed for good";
}

TEST_F(ProberTest, ProgramsAnswerByTheirExitCode) {
  const std::string id = started();
  prober_->watch({target(id, ready_by(program({"false"})))});
  EXPECT_EQ(news(id).kind, ProbeNews::Kind::NotReady);
  EXPECT_THAT(news(id).message, HasSubstr("exit code 1"));
}

TEST_F(ProberTest, AProgramThatNeverEndsFails) {
  const std::string id = started();
  ContainerSpec live;
  live.liveness = quick(program({"sleep", "100"}));
  live.liveness->timeout = milliseconds(20);
  prober_->watch({target(id, live)});
  EXPECT_EQ(news(id).kind, ProbeNews::Kind::LivenessFailed);
  EXPECT_THAT(news(id).message, HasSubstr("not done within 20ms"));
}

TEST_F(ProberTest, AContainerThatIsGoneIsNotCalledUnhealthy) {
  Server server("HTTP/1.1 200 OK\r\n\r\n");
  ContainerSpec spec = ready_by(on_port(Handler::Kind::HttpGet, server.port));
  spec.liveness = quick(program({"true"}));
  prober_->watch({target("no-such-container", spec)});
  EXPECT_EQ(news("no-such-container").kind, ProbeNews::Kind::Ready);
  ASSERT_TRUE(test::wait_until([&] { return server.asked > 5; }));
  const std::lock_guard lock(mutex_);
  EXPECT_EQ(news_.size(), 1U);
}

TEST_F(ProberTest, AContainerStackThatIsAwaySaysNothingOfHealth) {
  const std::string id = started();
  Server server("HTTP/1.1 200 OK\r\n\r\n");
  ContainerSpec spec = ready_by(on_port(Handler::Kind::HttpGet, server.port));
  spec.liveness = quick(program({"false"}));
  spec.liveness->failure_threshold = 1;
  runtime_.disconnect();
  prober_->watch({target(id, spec)});
  ASSERT_TRUE(test::wait_until([&] { return server.asked > 5; }));
  EXPECT_EQ(news(id).kind, ProbeNews::Kind::Ready);
  {
    const std::lock_guard lock(mutex_);
    EXPECT_EQ(news_.size(), 1U);
  }
  runtime_.connect();
  EXPECT_EQ(news(id, 1).kind, ProbeNews::Kind::LivenessFailed);
}

TEST_F(ProberTest, GrpcAsksARealServer) {
  grpc::EnableDefaultHealthCheckService(true);
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  const auto queue = builder.AddCompletionQueue();
  const auto server = builder.BuildAndStart();
  ASSERT_NE(server, nullptr);
  server->GetHealthCheckService()->SetServingStatus("shop", false);
  Handler whole = on_port(Handler::Kind::Grpc, static_cast<uint16_t>(port));
  Handler shop = whole, other = whole;
  shop.service = "shop";
  other.service = "none";
  prober_->watch({target("whole", ready_by(whole)), target("shop", ready_by(shop)),
                  target("other", ready_by(other))});
  EXPECT_EQ(news("whole").kind, ProbeNews::Kind::Ready) << news("whole").message;
  EXPECT_EQ(news("shop").kind, ProbeNews::Kind::NotReady);
  EXPECT_THAT(news("shop").message, HasSubstr("NOT_SERVING"));
  EXPECT_THAT(news("other").message, HasSubstr("knows no health of \"none\""));
  server->GetHealthCheckService()->SetServingStatus("shop", true);
  EXPECT_EQ(news("shop", 1).kind, ProbeNews::Kind::Ready);
  server->Shutdown();
  queue->Shutdown();
  void* tag = nullptr;
  for (bool ok = true; queue->Next(&tag, &ok);) continue;
}

TEST_F(ProberTest, HttpsBelievesAnyCertificate) {
  test::CertificateAuthority authority;
  const test::Certificate certificate = authority.issue("somewhere.else", true);
  uint16_t port = 0;
  { const Fd free = listen_on_loopback(port); }
  test::Process server(
      {{"openssl", "s_server", "-accept", "127.0.0.1:" + std::to_string(port), "-cert",
        certificate.certificate, "-key", certificate.key, "-www", "-quiet"},
       {},
       "",
       "",
       -1});
  ASSERT_TRUE(test::wait_until([&] { return test::accepts_tcp(port); }));
  Handler handler = on_port(Handler::Kind::HttpGet, port);
  Server plain("HTTP/1.1 200 OK\r\n\r\n");
  handler.https = true;
  Handler wrong = handler;
  wrong.port = plain.port;
  prober_->watch({target("tls", ready_by(handler)), target("plain", ready_by(wrong))});
  EXPECT_EQ(news("tls").kind, ProbeNews::Kind::Ready) << news("tls").message;
  EXPECT_THAT(news("plain").message, HasSubstr("does the server speak https?"));
}

// Whose programs never end, but for "true".
class EndlessExecs final : public runtime::Execs {
 public:
  Result<runtime::ExecResult> exec(const runtime::ExecRequest& request,
                                   CancelToken cancel) override {
    if (request.argv.front() == "true") return runtime::ExecResult{};
    static_cast<void>(cancel.wait_for(request.timeout));
    return fail(Code::Cancelled, "cancelled");
  }
};

TEST_F(ProberTest, PostStartsThatHangKeepNoPreStopWaiting) {
  EndlessExecs endless;
  std::promise<HookDone> done;
  const auto prober = make_prober(endless, clock_);
  prober->listen({[](const ProbeNews&) {}, [&](const HookDone& hook) { done.set_value(hook); }});
  for (int i = 0; i < 50; ++i) {
    prober->run({"c", "web", "app", program({"hang"}), "127.0.0.1", std::chrono::minutes(10)});
  }
  prober->run({"c", "web", "app", program({"true"}), "127.0.0.1", seconds(20), true});
  auto first = done.get_future();
  ASSERT_EQ(first.wait_for(test::kPatience), std::future_status::ready);
  EXPECT_TRUE(first.get().hook.pre_stop);
}

TEST_F(ProberTest, HooksAreAnsweredOnceAndBounded) {
  const std::string id = started();
  Server any("HTTP/1.1 500 No\r\n\r\n"), silent("");
  size_t next = 0;
  const auto run = [&](Handler handler, Duration timeout) {
    prober_->run({id, "web", "app", std::move(handler), "127.0.0.1", timeout, true});
    return hook(next++);
  };
  EXPECT_TRUE(run(program({"true"}), seconds(20)).status);
  EXPECT_FALSE(run(program({"false"}), seconds(20)).status);
  EXPECT_TRUE(run(on_port(Handler::Kind::HttpGet, any.port), seconds(20)).status);
  const HookDone late = run(on_port(Handler::Kind::HttpGet, silent.port), milliseconds(50));
  ASSERT_FALSE(late.status);
  EXPECT_EQ(late.status.error().code(), Code::DeadlineExceeded);
  Handler sleep;
  sleep.kind = Handler::Kind::Sleep;
  sleep.sleep = std::chrono::hours(1);
  EXPECT_TRUE(run(sleep, milliseconds(50)).status) << "no longer than it may take";
  EXPECT_TRUE(late.hook.pre_stop);
}

}  // namespace
}  // namespace wherry::runtime
