#include "tests/bench/pod_bench.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <thread>

#include "agent/manifest/document.h"
#include "tests/bench/bench_table.h"
#include "tests/bench/bench_world.h"
#include "tests/bench/process_stats.h"
#include "tests/unit/reconcile/specs.h"

namespace wherry::bench {
namespace {

using nlohmann::json;

std::vector<json> pods_of(World& world, const std::string& prefix, int count, bool host_network) {
  std::vector<json> pods;
  for (int i = 0; i < count; ++i) {
    pods.push_back(world.pod(prefix + std::to_string(i), host_network));
  }
  return pods;
}

double start_all(World& world, const std::vector<json>& pods) {
  const WallTime published = world.publish(pods);
  const double took = ms(world.started(published, pods.size()) - published);
  world.settle(pods.size());
  return took;
}

// Longer than an agent's start takes to settle its memory.
void let_settle() {
  (void)test::wait_until([] { return false; }, std::chrono::seconds(15));
}

// A dockerd with all of its state in a directory of its own, as Debian's comes otherwise.
class Docker {
 public:
  Docker() {
    test::ProcessOptions options;
    options.argv = {"dockerd",     "--data-root", dir_ / "data",
                    "--exec-root", dir_ / "exec", "--pidfile",
                    dir_ / "pid",  "--host",      "unix://" + (dir_ / "sock")};
    options.output_path = dir_ / "log";
    daemon_ = std::make_unique<test::Process>(std::move(options));
    const bool up =
        test::wait_until([&] { return test::run_command(command({"version"})).exit_code == 0; });
    if (!up) throw std::runtime_error("dockerd does not start: " + daemon_->output());
    test::ImageOptions image;
    image.format = test::ArchiveFormat::Docker;
    const auto archive =
        test::make_busybox_archive(dir_ / "i.tar", "registry.local/bench:1", image);
    test::run_ok(command({"load", "-q", "-i", archive.path}));
  }
  ~Docker() {
    for (int i = 0; i < started_; ++i) (void)test::run_command(command({"rm", "-f", name(i)}));
    daemon_->terminate();
  }
  Docker(const Docker&) = delete;
  Docker& operator=(const Docker&) = delete;

  // `docker run -d` so many times, `parallel` at a time.
  Duration run(int count, int parallel) {
    const SystemClock clock;
    std::atomic<int> next{0};
    const MonoTime begin = clock.now();
    std::vector<std::thread> threads;
    for (int t = 0; t < parallel; ++t) {
      threads.emplace_back([&] {
        for (int i = next++; i < count; i = next++) {
          test::run_ok(command({"run", "-d", "--name", name(i), "registry.local/bench:1", "/bin/sh",
                                "-c", "sleep 1000000"}));
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    started_ = count;
    return clock.now() - begin;
  }

 private:
  static std::string name(int i) { return "d" + std::to_string(i); }
  std::vector<std::string> command(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {"docker", "--host", "unix://" + (dir_ / "sock")});
    return arguments;
  }

  test::TempDir dir_;
  std::unique_ptr<test::Process> daemon_;
  int started_ = 0;
};

// A document with as many Pods as fit into `bytes`, of the kind that people write.
std::string large_document(size_t bytes) {
  std::string text =
      "apiVersion: wherry/v1\nkind: DesiredState\nmetadata:\n  revision: 1\nspec:\n  items:\n";
  for (int i = 0;; ++i) {
    const std::string name = "pod-" + std::to_string(i);
    const std::string pod =
        "  - apiVersion: v1\n    kind: Pod\n    metadata:\n      name: " + name +
        "\n      labels: { app: " + name +
        ", tier: edge }\n    spec:\n      containers:\n      - name: app\n"
        "        image: registry.local/team/app:1.2.3\n"
        "        command: [/bin/app, --listen, \"0.0.0.0:8080\", --log-level, info]\n"
        "        env:\n        - { name: SITE, value: north }\n"
        "        - { name: BROKER, value: \"mqtt://broker:1883\" }\n"
        "        ports:\n        - { containerPort: 8080, name: http }\n"
        "        resources:\n          limits: { cpu: 500m, memory: 64Mi }\n"
        "        readinessProbe:\n          httpGet: { path: /healthz, port: http }\n"
        "        volumeMounts:\n        - { name: data, mountPath: /data }\n"
        "      volumes:\n      - name: data\n        emptyDir: {}\n";
    if (text.size() + pod.size() > bytes) return text;
    text += pod;
  }
}

}  // namespace

void fifty_pods() {
  constexpr int kPods = 50;
  World world;
  heading("One document with 50 Pods, all running (host network)");
  const auto run = floor_run(world.client(), world.floor_image(), "fifty", kPods);
  if (!run) throw std::runtime_error(run.error().full());
  const auto pods = pods_of(world, "f", kPods, true);
  let_settle();
  const Footprint before = footprint(world.agent_pid());
  const double took = start_all(world, pods);
  let_settle();
  const Footprint after = footprint(world.agent_pid());
  row("floor: 50 bare starts, one after another", ms(run->start_all), "ms", 0);
  row("50 Pods", took, "ms", 0);
  row("  as a ratio to the floor", took / ms(run->start_all), "x", 0.7);
  const auto per_pod = [](int64_t bytes) { return static_cast<double>(bytes) / 1024 / kPods; };
  row("private dirty memory for each Pod", per_pod(after.private_dirty - before.private_dirty),
      "KiB", 60);
  row("  PSS, with the code that was run for them", per_pod(after.pss - before.pss), "KiB", 0);
  world.clear();
}

void docker_beside() {
  constexpr int kPods = 50, kParallel = 4;
  heading("One document with 50 Pods, all running (bridge network)");
  double docker = 0;
  if (test::run_command({"sh", "-c", "command -v dockerd docker"}).exit_code == 0) {
    docker = ms(Docker().run(kPods, kParallel));
    row("floor: docker run -d 50 times, four in parallel", docker, "ms", 0);
  } else {
    std::puts("  (docker is not installed: nothing to compare with)");
  }
  World world;
  const double took = start_all(world, pods_of(world, "b", kPods, false));
  row("50 Pods", took, "ms", 0);
  if (docker > 0) row("  as a ratio to docker", took / docker, "x", 0.5);
  world.clear();
}

void image_change() {
  constexpr int kPods = 10;
  World world;
  heading("Every image changed in a document of 10 Pods");
  const auto floor = floor_run(world.client(), world.floor_image(), "ten", kPods);
  if (!floor) throw std::runtime_error(floor.error().full());
  auto pods = pods_of(world, "c", kPods, true);
  start_all(world, pods);
  const std::string other = world.other_image();
  for (json& pod : pods) pod["spec"]["containers"][0]["image"] = other;
  const WallTime published = world.publish(pods);
  const double took = ms(world.started(published, kPods) - published);
  std::vector<double> down;
  const auto ends = world.events_of("/tasks/exit", published);
  for (const auto& [pod, at] : world.events_of("/tasks/start", published)) {
    down.push_back(ms(at - ends.at(pod)));
  }
  const double bare = ms(floor->start_all);
  const double one = (bare + ms(floor->stop_all)) / kPods;
  row("floor: ten bare starts", bare, "ms", 0);
  row("all new ones running", took, "ms", 0);
  row("  as a ratio to the floor", took / bare, "x", 2.2);
  row("floor: one stop and start", one, "ms", 0);
  row("a Pod's time without a task, median", median(down), "ms", 0);
  const double longest = *std::max_element(down.begin(), down.end());
  row("  the longest, as a ratio to the floor", longest / one, "x", 1.5);
  world.settle(kPods);
  world.clear();
}

void documents() {
  heading("Documents and plans");
  const SystemClock clock;
  const std::string text = large_document(1 << 20);
  std::vector<double> parses, plans;
  for (int i = 0; i < 5; ++i) {
    const MonoTime begin = clock.now();
    const Document document = parse_desired_state(text);
    const Merged merged = merge({{"devices/d", &document}}, {});
    parses.push_back(ms(clock.now() - begin));
    if (!document.valid() || !merged.errors.empty())
      throw std::runtime_error("not valid: " +
                               (document.valid() ? merged.errors : document.errors).at(0).message);
  }
  row("parse and validate 1 MiB of YAML", median(parses), "ms", 150);
  test::Scene scene;
  for (int i = 0; i < 200; ++i) {
    const WorkloadSpec spec = test::workload("w" + std::to_string(i));
    scene.want(spec);
    scene.images_present(spec.name());
    scene.runs(spec);
  }
  for (int i = 0; i < 9; ++i) {
    const MonoTime begin = clock.now();
    const Plan plan = scene.plan();
    plans.push_back(ms(clock.now() - begin));
    for (const auto& [name, verdict] : plan.workloads) {
      if (verdict.action || verdict.phase != Phase::Running) {
        throw std::runtime_error(name + " is not taken for unchanged");
      }
    }
  }
  row("plan 200 unchanged Pods", median(plans), "ms", 5);
}

}  // namespace wherry::bench
