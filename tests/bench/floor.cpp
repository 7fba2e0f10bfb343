#include "tests/bench/floor.h"

#include <algorithm>
#include <atomic>
#include <csignal>
#include <mutex>
#include <optional>
#include <thread>

namespace wherry::bench {
namespace {

using runtime::Client;

Duration since(MonoTime start) { return std::chrono::steady_clock::now() - start; }

Result<std::string> floor_spec(const FloorImage& image, const std::string& id) {
  runtime::PodSpec pod;
  pod.name = id;
  pod.host_network = true;
  runtime::ContainerSpec container;
  container.name = "floor";
  container.command = image.argv;
  return runtime::make_oci_spec(
      {pod, container, image.config, runtime::detect_host(), "/wherry-floor-" + id, "", "", {}});
}

}  // namespace

Result<FloorStart> floor_start(Client& client, const FloorImage& image, const std::string& id) {
  const auto spec = floor_spec(image, id);
  if (!spec) return fail(spec.error());
  runtime::ContainerRecord record;
  record.id = id;
  record.image = image.name;
  record.runtime_name = "io.containerd.runc.v2";
  record.spec_json = *spec;
  record.snapshotter = client.snapshots().snapshotter();
  record.snapshot_key = id;

  FloorStart times;
  MonoTime start = std::chrono::steady_clock::now();
  // Marked as a root, or the collector might take it before the record names it.
  const auto mounts = client.snapshots().prepare(
      id, image.chain_id, {{"containerd.io/gc.root", "2020-01-01T00:00:00Z"}});
  if (!mounts) return fail(mounts.error());
  times.snapshot_prepare = since(start);

  start = std::chrono::steady_clock::now();
  if (const Status created = client.containers().create(record); !created) {
    return fail(created.error());
  }
  times.container_create = since(start);

  start = std::chrono::steady_clock::now();
  const auto task = client.tasks().create(id, *mounts, {});
  if (!task) return fail(task.error());
  times.task_create = since(start);

  start = std::chrono::steady_clock::now();
  const auto pid = client.tasks().start(id);
  if (!pid) return fail(pid.error());
  times.task_start = since(start);
  return times;
}

Result<Duration> floor_stop(Client& client, const std::string& id) {
  const MonoTime start = std::chrono::steady_clock::now();
  if (const Status killed = client.tasks().kill(id, SIGKILL, true); !killed) {
    return fail(killed.error());
  }
  const auto exited = client.tasks().wait(id, std::chrono::seconds(30));
  if (!exited) return fail(exited.error());
  for (const Status& status :
       {client.tasks().remove(id), client.containers().remove(id), client.snapshots().remove(id)}) {
    if (!status) return fail(status.error());
  }
  return since(start);
}

Result<FloorRun> floor_run(Client& client, const FloorImage& image, const std::string& prefix,
                           size_t count, size_t parallel) {
  FloorRun run;
  std::mutex mutex;
  std::optional<Error> error;
  std::atomic<size_t> next{0};
  const MonoTime begin = std::chrono::steady_clock::now();
  std::vector<std::thread> threads;
  for (size_t t = 0; t < std::max<size_t>(parallel, 1); ++t) {
    threads.emplace_back([&] {
      for (size_t i = next++; i < count; i = next++) {
        const auto times = floor_start(client, image, prefix + std::to_string(i));
        const std::lock_guard lock(mutex);
        if (times) {
          run.starts.push_back(*times);
        } else {
          error = times.error();
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  run.start_all = since(begin);
  const MonoTime stopping = std::chrono::steady_clock::now();
  for (size_t i = 0; i < count; ++i) {
    const auto stopped = floor_stop(client, prefix + std::to_string(i));
    if (!stopped && !error) error = stopped.error();
  }
  run.stop_all = since(stopping);
  if (error) return fail(*error);
  return run;
}

}  // namespace wherry::bench
