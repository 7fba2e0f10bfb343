// Probes and hooks that are written wrongly.

#include <gtest/gtest.h>

#include "tests/unit/manifest/manifest_test_support.h"

namespace wherry {
namespace {

using namespace manifest_test;

struct Wrong {
  const char* text;
  const char* path;
  int line;  // after the container's own
  const char* message;
};

TEST(BadInput, ProbesAndHooks) {
  const Wrong kCases[] = {
      {"livenessProbe: {}", "livenessProbe", 0,
       "needs exactly one of exec, httpGet, tcpSocket, grpc"},
      {"livenessProbe: { exec: { command: [a] }, grpc: { port: 1 } }", "livenessProbe", 0,
       "needs exactly one of"},
      {"livenessProbe: { exec: {} }", "livenessProbe.exec.command", 0, "is required"},
      {"livenessProbe: { exec: { command: [] } }", "livenessProbe.exec.command", 0,
       "must name a program"},
      {"livenessProbe: { exec: { command: [a] }, successThreshold: 2 }",
       "livenessProbe.successThreshold", 0, "must be 1 of a liveness or startup probe"},
      {"startupProbe: { tcpSocket: { port: 80 }, periodSeconds: -1 }", "startupProbe.periodSeconds",
       0, "must be between 0 and 86400"},
      {"readinessProbe: { tcpSocket: { port: 80 }, terminationGracePeriodSeconds: 5 }",
       "readinessProbe.terminationGracePeriodSeconds", 0, "a readiness probe stops nothing"},
      {"readinessProbe: { httpGet: { path: / } }", "readinessProbe.httpGet.port", 0, "is required"},
      {"readinessProbe: { httpGet: { port: web } }", "readinessProbe.httpGet.port", 0,
       "the container has no port named \"web\""},
      {"readinessProbe: { httpGet: { port: 0 } }", "readinessProbe.httpGet.port", 0,
       "must be between 1 and 65535"},
      {"readinessProbe: { httpGet: { port: [1] } }", "readinessProbe.httpGet.port", 0,
       "must be a number or a name"},
      {"readinessProbe: { httpGet: { port: 80, path: 'a b' } }", "readinessProbe.httpGet.path", 0,
       "write %20 for a space"},
      {"readinessProbe: { httpGet: { port: 80, scheme: ftp } }", "readinessProbe.httpGet.scheme", 0,
       "must be one of HTTP, HTTPS"},
      {"readinessProbe: { httpGet: { port: 80, httpHeaders: [{ name: 'A: b', value: c }] } }",
       "readinessProbe.httpGet.httpHeaders[0].name", 0, "without spaces and colon"},
      {"readinessProbe: { httpGet: { port: 80, httpHeaders: [{ name: A, value: \"c\\r\\nB: d\" }] "
       "} }",
       "readinessProbe.httpGet.httpHeaders[0].value", 0, "must not contain control characters"},
      {"readinessProbe: { grpc: { port: web } }", "readinessProbe.grpc.port", 0,
       "must be an integer"},
      {"readinessProbe: { tcpSocket: { port: 1 }, periodSecond: 1 }", "readinessProbe.periodSecond",
       0, "did you mean \"periodSeconds\"?"},
      {"lifecycle: { preStop: { exec: {} } }", "lifecycle.preStop.exec.command", 0, "is required"},
      {"lifecycle: { preStop: {} }", "lifecycle.preStop", 0,
       "needs exactly one of exec, httpGet, sleep"},
      {"lifecycle: { postStart: { tcpSocket: { port: 1 } } }", "lifecycle.postStart.tcpSocket", 0,
       "use exec or httpGet"},
      {"lifecycle: { preStop: { sleep: { seconds: -1 } } }", "lifecycle.preStop.sleep.seconds", 0,
       "must be between 0 and 86400"},
  };
  for (const Wrong& test : kCases) {
    const Document document =
        parse_desired_state(container("        " + std::string(test.text) + "\n"));
    const std::string path = "spec.items[0].spec.containers[0]." + std::string(test.path);
    const Finding* found = find(document.errors, path, test.message);
    ASSERT_NE(found, nullptr) << test.text << "\n" << print(document.errors);
    EXPECT_EQ(found->line, kContainerLine + test.line) << test.text;
  }
}

}  // namespace
}  // namespace wherry
