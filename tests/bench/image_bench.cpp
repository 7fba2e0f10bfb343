#include "tests/bench/image_bench.h"

#include <cmath>
#include <filesystem>
#include <functional>

#include "tests/bench/bench_table.h"
#include "tests/bench/bench_world.h"
#include "tests/bench/process_stats.h"
#include "tests/support/registry.h"
#include "tests/support/tcp_relay.h"
#include "tests/support/test_image.h"

namespace wherry::bench {
namespace {

constexpr int kRounds = 3;
constexpr const char* kRepository = "bench/big:1";

struct Image {
  int64_t size = 0;      // of all layers, as they travel
  int64_t layer = 0;     // of one of the large ones
  std::string registry;  // its name there
};

Image make_image(test::Registry& registry) {
  test::TempDir files;
  test::ImageOptions options;
  options.extra_layers.assign(7, 25'000'000);
  options.half_text = true;
  options.gzip = true;
  const auto archive =
      test::make_busybox_archive(files / "big.tar", "registry.local/big:1", options);
  Image image;
  image.registry = registry.push(archive.path, kRepository);
  for (const std::string& digest : archive.layer_digests) {
    const std::string hex = digest.substr(7);
    image.layer = static_cast<int64_t>(
        std::filesystem::file_size(registry.storage() + "/docker/registry/v2/blobs/sha256/" +
                                   hex.substr(0, 2) + "/" + hex + "/data"));
    image.size += image.layer;
  }
  return image;
}

struct Cost {
  double took = 0;  // ms
  double cpu = 0;   // ms, of the agent
};

struct Growth {
  int64_t resident = 0, dirty = 0;  // at the peak
};

void forget(World& world, const std::string& ns, const std::string& name) {
  (void)world.containerd().ctr(ns, {"images", "rm", "--sync", name});
}

double pull_by_ctr(World& world, const std::string& name) {
  const SystemClock clock;
  const MonoTime begin = clock.now();
  test::run_ok({"ctr", "--address", world.containerd().socket(), "--namespace", "bench", "images",
                "pull", "--plain-http", name},
               std::chrono::minutes(5));
  const double took = ms(clock.now() - begin);
  forget(world, "bench", name);
  return took;
}

// `watch` is called while it pulls. It costs what it costs, so what is timed has none.
Cost pull_by_agent(World& world, const std::string& name, const std::function<void()>& watch = {}) {
  const int64_t cpu = process_cpu_nanoseconds(world.agent_pid());
  const WallTime published = world.publish({World::pod_of("big", name)});
  (void)test::wait_until(
      [&] {
        if (watch) watch();
        const auto big = world.agent().workload("big");
        return big.is_object() && big.value("phase", "") == "Running";
      },
      std::chrono::minutes(5));
  Cost cost;
  cost.cpu = static_cast<double>(process_cpu_nanoseconds(world.agent_pid()) - cpu) / 1e6;
  cost.took = ms(world.pulled(published) - published);
  world.clear();
  forget(world, world.agent().options().containerd_namespace, name);
  return cost;
}

Growth growth_of_a_pull(World& world, const std::string& name) {
  const pid_t pid = world.agent_pid();
  reset_peak(pid);
  const int64_t resident_before = resident(pid);
  const int64_t dirty_before = footprint(pid).private_dirty;
  int64_t most = 0;
  pull_by_agent(world, name, [&] { most = std::max(most, footprint(pid).private_dirty); });
  return {peak_resident(pid) - resident_before, most - dirty_before};
}

void beside_ctr(World& world, const Image& image) {
  heading("Pull of 8 layers from docker-registry, unpacked");
  row("size on the wire", mib(image.size), "MiB", 0);
  // The first pull is the one that a device's memory grows by.
  const Growth growth = growth_of_a_pull(world, image.registry);
  std::vector<double> theirs, ours, cpu;
  (void)pull_by_ctr(world, image.registry);  // the registry's pages are in memory for both
  for (int round = 0; round < kRounds; ++round) {
    theirs.push_back(pull_by_ctr(world, image.registry));
    const Cost cost = pull_by_agent(world, image.registry);
    ours.push_back(cost.took);
    cpu.push_back(cost.cpu);
  }
  row("floor: ctr images pull", median(theirs), "ms", 0);
  row("publish until the image is recorded", median(ours), "ms", 0);
  row("  as a ratio to ctr", median(ours) / median(theirs), "x", 0.9);
  row("  CPU of the agent, until its workload runs", median(cpu), "ms", 0);
  row("  growth of resident memory at its peak", mib(growth.resident), "MiB", 12);
  row("  growth of private dirty memory at its peak", mib(growth.dirty), "MiB", 12);
}

void over_a_link_that_breaks(World& world, test::Registry& registry, const Image& image) {
  heading("The same, every connection cut after half a layer");
  test::TcpRelay relay(registry.port());
  relay.cut_each_after(image.layer / 2);
  const std::string name = "127.0.0.1:" + std::to_string(relay.port()) + "/" + kRepository;
  const Cost cost = pull_by_agent(world, name);
  row("publish until the image is recorded", cost.took, "ms", 0);
  row("connections cut", relay.cuts(), "", 0);
  row("bytes on the wire, as a ratio to the image",
      static_cast<double>(relay.passed()) / static_cast<double>(image.size), "x", 1.05);
}

void under_a_limit(World& world, test::Registry& registry, const Image& image) {
  constexpr double kLimit = 10 << 20;
  heading("The same with images.bandwidth_limit: 10Mi");
  world.agent().options().sets.push_back("images.bandwidth_limit=10Mi");
  world.agent().restart();
  if (!world.agent().wait_ready()) throw std::runtime_error("not ready");
  test::TcpRelay relay(registry.port());
  const std::string name = "127.0.0.1:" + std::to_string(relay.port()) + "/" + kRepository;
  const SystemClock clock;
  world.publish({World::pod_of("big", name)});
  const auto reach = [&](int64_t bytes) {
    if (!test::wait_until([&] { return relay.passed() >= bytes; }, std::chrono::minutes(5))) {
      throw std::runtime_error("not pulled: " + test::tail(world.agent().log()));
    }
    return clock.now();
  };
  const MonoTime begin = reach(image.size / 20);
  const int64_t first = relay.passed();
  const MonoTime end = reach(image.size / 20 * 19);
  const double seconds = ms(end - begin) / 1000;
  const double rate = static_cast<double>(relay.passed() - first) / seconds;
  row("rate on the wire", rate / (1 << 20), "MiB/s", 0);
  row("  away from the limit", std::abs(rate / kLimit - 1) * 100, "%", 5);
  world.settle(1);
  world.clear();
}

}  // namespace

void image_pulls() {
  test::Registry registry;
  const Image image = make_image(registry);
  World world;
  beside_ctr(world, image);
  over_a_link_that_breaks(world, registry, image);
  under_a_limit(world, registry, image);
}

}  // namespace wherry::bench
