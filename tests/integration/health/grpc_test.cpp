// A gRPC probe of a container on a real stack. The server is the test's own: the Pod is in the same
// network, and no image of Debian's has one.

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>

#include "tests/integration/health/health_fixture.h"

namespace wherry::test {
namespace {

class GrpcProbeTest : public HealthTest {};

TEST_F(GrpcProbeTest, DecidesReadinessAndLiveness) {
  grpc::EnableDefaultHealthCheckService(true);
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  const auto queue = builder.AddCompletionQueue();
  const auto server = builder.BuildAndStart();
  ASSERT_NE(server, nullptr);
  auto* const health = server->GetHealthCheckService();
  health->SetServingStatus("shop", false);
  health->SetServingStatus("alive", true);
  const auto probe = [&](const std::string& service) {
    return json{{"grpc", {{"port", port}, {"service", service}}},
                {"periodSeconds", 1},
                {"failureThreshold", 1}};
  };
  publish(1, {pod("shop", {container("main", kForever,
                                     {{"readinessProbe", probe("shop")},
                                      {"livenessProbe", probe("alive")}})})});
  const json waits = until("shop", [](const json& now) {
    return now["message"].get<std::string>().find("NOT_SERVING") != std::string::npos;
  });
  EXPECT_EQ(waits["ready"], false);
  health->SetServingStatus("shop", true);
  running("shop");
  EXPECT_EQ(container_of(agent_->workload("shop"), "main")["restarts"], 0);
  health->SetServingStatus("alive", false);
  until("shop", [](const json& now) { return container_of(now, "main")["restarts"] == 1; });
  EXPECT_TRUE(has_event("LivenessProbeFailed"));
  server->Shutdown();
  queue->Shutdown();
  void* tag = nullptr;
  bool good = false;
  while (queue->Next(&tag, &good)) {
  }
}

}  // namespace
}  // namespace wherry::test
