#include "agent/main/agent.h"

#include <atomic>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/file.h>
#include <thread>
#include <unistd.h>

#include "agent/api/data_server.h"
#include "agent/api/server.h"
#include "agent/fleet/fleet_link.h"
#include "agent/main/clock_doubt.h"
#include "agent/main/commands.h"
#include "agent/main/device_facts.h"
#include "agent/main/diagnosis.h"
#include "agent/main/local_manifests.h"
#include "agent/main/metrics.h"
#include "agent/main/room_options.h"
#include "agent/main/service_file.h"
#include "agent/main/store_records.h"
#include "agent/main/upstream.h"
#include "agent/reconcile/forecast.h"
#include "agent/reconcile/prune_desk.h"
#include "agent/reconcile/prune_order.h"
#include "agent/reconcile/reconciler.h"
#include "agent/store/store.h"
#include "base/executor.h"
#include "base/files.h"
#include "base/log.h"
#include "runtime/containerd/client.h"
#include "runtime/containerd/image_backend.h"
#include "runtime/containerd/store_facts.h"
#include "runtime/image/image_service.h"
#include "runtime/log/container_log.h"
#include "runtime/log/directory_watch.h"
#include "runtime/network/network.h"
#include "runtime/network/service_network.h"
#include "runtime/pod/container_exec.h"
#include "runtime/pod/gauges.h"
#include "runtime/pod/pod_runtime.h"
#include "runtime/probe/prober.h"
#include "runtime/volume/volumes.h"

namespace wherry {
namespace {

// As many as may hang at once and still leave room for the others (Dispatcher::Limits).
constexpr size_t kWorkThreads = 16;
constexpr Duration kPreloadLook = std::chrono::seconds(2);
constexpr Duration kGoodbye = std::chrono::seconds(2);
// For actions under way, which are cancelled; what does not end by then is abandoned.
constexpr Duration kLastWords = std::chrono::seconds(5);

}  // namespace

// In the order they are made; destroyed in reverse.
struct Agent::Parts {
  explicit Parts(Options given)
      : options(std::move(given)),
        config(options.config),
        instance(instance_of(config)),
        device(read_device(config, options.version)),
        client({config.containerd.address, config.containerd.namespace_,
                config.containerd.snapshotter}),
        backend(runtime::make_containerd_backend(client, clock)),
        facts(runtime::make_containerd_store_facts(client)),
        network(runtime::make_cni_network(network_options(config, instance))),
        volumes(config.storage.state_dir, config.storage.run_dir, {}, data_sockets()),
        services(runtime::make_iptables_services(
            {config.storage.run_dir, config.network.services(), volumes.service_names_file()},
            *network, [this] { volumes.refresh_names(); })),
        service_file(config.storage.state_dir + "/services"),
        logs({config.storage.state_dir + "/logs", options.helper_dir + "/wherry-logger",
              config.telemetry.logs_max_bytes,
              [this](const std::string& pod) { forwarder->prepared(pod); },
              [this](const std::string& pod) { return forwarder->drain(pod); }}),
        images(*backend, image_options()),
        devices(device_options(config)),
        pods(runtime::make_pod_runtime(
            {client, *backend, *network, volumes, logs, host_facts(), &devices}, pod_options())),
        gauges(runtime::make_gauges(client, facts.get(), {config.storage.state_dir, instance})),
        execs(client, config.storage.run_dir),
        meter(runtime::make_cgroup_meter({instance})),
        metrics({config, options.version, device.cpus, clock, board, *traffic, *meter, *facts,
                 upstream}),
        health(runtime::make_prober(execs, clock)),
        lanes(std::make_shared<ThreadLanes>(kWorkThreads, kPullsAtOnce)) {}

  runtime::ImageServiceOptions image_options() {
    runtime::ImageServiceOptions made;
    made.hosts_dir = config.images.hosts_dir;
    made.credentials.docker_config = config.images.docker_config;
    made.credentials.helper = config.images.credential_helper;
    made.proxies = runtime::proxy_settings_from_environment();
    made.snapshotter = config.containerd.snapshotter;
    made.max_parallel = static_cast<size_t>(config.images.max_parallel_downloads);
    made.bandwidth_limit = config.images.bandwidth_limit;
    made.facts = facts.get();
    made.disk_reserve = config.storage.reserve;
    made.gc_high = config.images.gc_high_percent;
    made.gc_low = config.images.gc_low_percent;
    made.removable = [this] { return keeping.removable(); };
    made.made_room = [this](const runtime::PruneReport& report) {
      mailbox.post([&](Mail& mail) {
        mail.notes.push_back(images_removed(report));
        mail.images_changed = true;
      });
    };
    return made;
  }
  runtime::DataSockets data_sockets() {
    return {[this](const std::string& pod, const std::string& directory) -> Status {
              return data->open(pod, directory);
            },
            [this](const std::string& pod) { data->close(pod); }};
  }
  runtime::PodRuntimeOptions pod_options() const {
    runtime::PodRuntimeOptions made;
    made.run_dir = config.storage.run_dir;
    made.runtime_name = config.containerd.runtime;
    made.instance = instance;
    made.boot_id = device.boot;
    made.runtime_classes = config.containerd.runtime_classes;
    made.seccomp_dir = config.storage.state_dir + "/seccomp";
    made.pause_program = options.helper_dir + "/wherry-pause";
    return made;
  }

  ~Parts() {
    for (const int fd : {state_lock, run_lock}) {
      if (fd >= 0) close(fd);
    }
  }
  Parts(const Parts&) = delete;
  Parts& operator=(const Parts&) = delete;

  Status lock(const std::string& directory, const char* setting, int& fd);
  Status claim_directories();
  Status open_store();
  void make_reconciler();
  FleetHandlers fleet_handlers();
  Status serve();
  void watch();
  void preload(Lanes& pool);
  void follow_preload();
  void images_changed();
  std::function<Result<Planned>(const PlanRequest&, const CancelToken&)> planner();
  void read_manifests();

  const Options options;
  const Config& config;
  const std::string instance;
  SystemClock clock;
  DeviceView device;
  int state_lock = -1, run_lock = -1;
  std::unique_ptr<Store> store;
  std::string set_aside;
  StateBoard board;
  KeepingBoard keeping;
  // Before the runtime, whose events they take until it is gone.
  Mailbox mailbox;
  std::unique_ptr<telemetry::Telemetry> upstream;
  std::unique_ptr<DataServer> data;
  std::unique_ptr<LogForwarder> forwarder;
  const std::shared_ptr<Traffic> traffic = std::make_shared<Traffic>();
  std::unique_ptr<FleetLink> link;
  runtime::Client client;
  std::unique_ptr<runtime::ImageBackend> backend;
  std::unique_ptr<runtime::StoreFacts> facts;
  std::unique_ptr<runtime::PodNetwork> network;
  runtime::Volumes volumes;
  std::unique_ptr<runtime::Services> services;
  ServiceFile service_file;
  runtime::ContainerLogs logs;
  runtime::ImageService images;
  runtime::HostDevices devices;
  std::unique_ptr<runtime::ContainerRuntime> pods;
  std::unique_ptr<runtime::Gauges> gauges;
  runtime::ContainerExec execs;
  Bell event_bell;
  std::unique_ptr<runtime::Meter> meter;
  Metrics metrics;
  std::unique_ptr<runtime::Health> health;  // whose threads tell metrics
  std::unique_ptr<Diagnosis> diagnosis;
  std::unique_ptr<CommandCenter> commands;
  std::unique_ptr<StoreRecords> records;
  std::unique_ptr<Reconciler> reconciler;
  std::unique_ptr<ApiServer> api;
  std::shared_ptr<ThreadLanes> lanes;
  std::thread loop, preload_follower;
  std::atomic<bool> preload_waits{false}, preload_unsettled{false};
  CancelToken stopping;
};

// Held until the process ends: two agents must never share a directory.
Status Agent::Parts::lock(const std::string& directory, const char* setting, int& fd) {
  const std::string path = directory + "/lock";
  fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return fail(Code::Internal, "open " + path + ": " + std::strerror(errno));
  // A program that a killed agent was just starting holds the lock until its exec.
  const MonoTime end = clock.now() + std::chrono::seconds(3);
  do {
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) return {};
  } while (!stopping.wait_for(std::chrono::milliseconds(10)) && clock.now() < end);
  return fail(Code::FailedPrecondition, "another wherryd uses " + directory +
                                            "; stop it, or give this one a " + setting +
                                            " of its own");
}

Status Agent::Parts::claim_directories() {
  if (Status made = make_directories(config.storage.state_dir, 0700); !made) return made;
  if (Status made = make_directories(config.storage.run_dir); !made) return made;
  if (Status locked = lock(config.storage.state_dir, "storage.state_dir", state_lock); !locked) {
    return locked;
  }
  return lock(config.storage.run_dir, "storage.run_dir", run_lock);
}

Status Agent::Parts::open_store() {
  StoreOptions store_options;
  store_options.path = config.storage.state_dir + "/wherry.db";
  auto opened = Store::open(store_options);
  if (!opened) return fail(opened.error(), "open the store");
  store = std::move(opened->store);
  set_aside = opened->set_aside;
  if (!set_aside.empty()) {
    log_error("the store was damaged and replaced; running workloads are kept",
              {{"kept_as", set_aside}});
  }
  return {};
}

void Agent::Parts::make_reconciler() {
  upstream = open_upstream(config, clock, *store, mailbox, link);
  data = make_data_server(config, device.boot, clock, *upstream);
  forwarder = make_log_forwarder(config, clock, *upstream);
  board.listen([this](const StateView& view) { show_to(*forwarder, config, view); });
  records = std::make_unique<StoreRecords>(*store, [this] {
    upstream->source_grew();
    event_bell.ring();
  });
  diagnosis = std::make_unique<Diagnosis>(DiagnosisParts{
      check_subject(config, options.config_file, options.sets, options.helper_dir), config,
      options.version, clock, board, store, logs, [this] { return metrics.text(); },
      [this] { return reconciler->alive(); }, [this] { return api->tcp_status(); }});
  commands = std::make_unique<CommandCenter>(
      config, clock, *store, mailbox,
      CommandSubjects{board, logs, images, execs, planner(), *diagnosis}, link);
  FleetOptions fleet = fleet_options(config, device.boot);
  fleet.traffic = traffic;
  link = make_mqtt_link(std::move(fleet), fleet_handlers(), clock);
  ReconcilerOptions made;
  made.sources = sources_of(config);
  made.facts = DeviceFacts{hostname(), device.arch, config.device.labels};
  made.facts.cpu_milli = int64_t{device.cpus} * 1000;
  made.facts.memory_bytes = device.memory_bytes;
  made.facts.disk_bytes = disk_bytes(config.storage.state_dir);
  made.facts.disk_reserve = config.storage.reserve;
  for (const auto& [name, handler] : config.containerd.runtime_classes) {
    made.facts.runtime_classes.insert(name);
  }
  made.device = device;
  made.signatures = {config.security.require_signature, config.security.trusted_keys_dir};
  ClockDoubt doubt;
  if (config.device.clock != "trusted") doubt = [this] { return clock_doubt(clock.wall()); };
  reconciler = std::make_unique<Reconciler>(
      ReconcilerParts{*pods,
                      images,
                      *records,
                      board,
                      *lanes,
                      mailbox,
                      clock,
                      [this](std::string json) { link->publish_reported(std::move(json)); },
                      [this]() -> Result<std::string> {
                        auto version = client.version();
                        if (!version) return fail(version.error());
                        return version->version;
                      },
                      records.get(),
                      &keeping,
                      records.get(),
                      doubt,
                      health.get(),
                      {services.get(), &service_file, config.network.services()},
                      pods.get(),
                      gauges.get(),
                      &devices,
                      [this] { return metrics.usage(); },
                      records.get()},
      std::move(made));
  health->listen({[this](runtime::ProbeNews news) {
                    metrics.count(news.kind);
                    mailbox.post([&](Mail& mail) { mail.probed.push_back(std::move(news)); });
                  },
                  [this](runtime::HookDone done) {
                    mailbox.post([&](Mail& mail) { mail.hooked.push_back(std::move(done)); });
                  }});
}

FleetHandlers Agent::Parts::fleet_handlers() {
  FleetHandlers handlers;
  handlers.on_desired = [this](DesiredMessage message) {
    mailbox.post([&](Mail& mail) { mail.documents[message.source] = std::move(message.payload); });
  };
  handlers.on_status = [this](const LinkStatus& status) {
    mailbox.post([&](Mail& mail) { mail.link = status; });
  };
  commands->listen(handlers);
  tell_upstream(handlers, *upstream, config.mqtt.version == 5);
  return handlers;
}

Status Agent::Parts::serve() {
  ApiOptions made;
  made.socket = config.api.socket;
  made.listen = config.api.listen;
  made.token_file = config.api.token_file;
  made.upload_dir = config.storage.state_dir + "/uploads";
  made.tcp_imports = !config.security.require_signature;
  made.disk_reserve = config.storage.reserve;
  api = std::make_unique<ApiServer>(
      made, ApiDependencies{
                board, clock, logs, images,
                [this](int64_t after, size_t limit) { return store->events(after, limit); },
                &event_bell, [this] { images_changed(); },
                [this](const CancelToken& cancel) { return prune_now(mailbox, cancel); },
                [this] { return reconciler->alive(); }, [this] { return metrics.text(); },
                &commands->commands(),
                [this](const CancelToken& cancel) { return merged_now(mailbox, cancel); },
                [this](ApplyRequest request, const CancelToken& cancel) {
                  return apply_now(mailbox, std::move(request), cancel);
                },
                planner(), [this](const CancelToken& cancel) { return diagnosis->check(cancel); },
                [this](bool all, const std::function<bool(std::string_view)>& sink,
                       const CancelToken& cancel) {
                  return diagnosis->write_bundle(all, sink, cancel);
                }});
  return api->start();
}

std::function<Result<Planned>(const PlanRequest&, const CancelToken&)> Agent::Parts::planner() {
  return [this](const PlanRequest& request, const CancelToken& cancel) -> Result<Planned> {
    const auto rehearsal = rehearse(mailbox, cancel);
    if (!rehearsal) return fail(rehearsal.error());
    return forecast(**rehearsal, request, {images, images}, cancel);
  };
}

void Agent::Parts::images_changed() {
  mailbox.post([](Mail& mail) { mail.images_changed = true; });
}

void Agent::Parts::watch() {
  // The runtime's thread may outlive the lanes: it holds them only for a moment.
  pods->watch([this, weak = std::weak_ptr<ThreadLanes>(lanes)](const runtime::Event& event) {
    mailbox.post_event(event);
    // Each time containerd comes: what was laid ready while it was away is taken then.
    if (event.kind != runtime::Event::Kind::Connected) return;
    const auto held = weak.lock();
    if (!held) return;
    preload(*held);
    if (!held->post(Lane::Drop, [this] { execs.end_left(); })) {
      log_debug("programs of an earlier life are ended later");
    }
  });
}

void Agent::Parts::preload(Lanes& pool) {
  if (preload_waits.exchange(true)) return;  // one that has not begun yet sees it all
  preload_unsettled = true;                  // until it has looked
  const bool posted = pool.post(Lane::Local, [this] {
    preload_waits = false;
    const auto report = images.preload(config.images.preload_dir, stopping);
    if (!report && report.error().code() != Code::Cancelled) {
      log_warn("images.preload_dir is not looked at", {{"error", report.error().full()}});
    }
    preload_unsettled = report && report->unsettled;
    if (!report) return;
    for (const auto& failure : report->failed) {
      EventRecord note;
      note.type = "Warning";
      note.reason = "PreloadFailed";
      note.message = failure.path + " is not imported: " + failure.error.full();
      log_warn(note.message);
      mailbox.post([&](Mail& mail) { mail.notes.push_back(std::move(note)); });
    }
    if (!report->imported.empty() || !report->failed.empty()) images_changed();
  });
  if (!posted) preload_waits = false;
}

// What is laid ready while the agent runs is taken as soon as it is whole.
void Agent::Parts::follow_preload() {
  using Watch = runtime::DirectoryWatch;
  const std::string& dir = config.images.preload_dir;
  Status followed = make_directories(dir);
  auto watch = followed ? Watch::make(dir, stopping, Watch::For::WholeFiles)
                        : Result<std::unique_ptr<Watch>>(fail(followed.error()));
  if (!watch) {
    log_warn("new files in images.preload_dir are seen only when containerd comes back",
             {{"error", watch.error().full()}});
    return;
  }
  preload_follower = std::thread([this, watch = std::move(*watch)] {
    name_this_thread("preload");
    // A directory that is being copied here is told of once, at its beginning.
    std::optional<Duration> look;
    while (true) {
      const auto seen = watch->wait(look);
      if (seen == Watch::Event::Cancelled) return;
      if (seen == Watch::Event::Gone) return log_warn("images.preload_dir was removed");
      look.reset();
      if (seen == Watch::Event::Timeout && !preload_unsettled) continue;
      look = kPreloadLook;
      preload(*lanes);
    }
  });
}

void Agent::Parts::read_manifests() {
  LocalManifests manifests = read_local_manifests(config.manifests.dir);
  mailbox.post([&](Mail& mail) { mail.manifests = std::move(manifests); });
}

Agent::Agent(Options options) : parts_(std::make_unique<Parts>(std::move(options))) {}

Agent::~Agent() = default;

Status Agent::start() {
  Parts& p = *parts_;
  if (Status claimed = p.claim_directories(); !claimed) return claimed;
  if (Status opened = p.open_store(); !opened) return opened;
  p.make_reconciler();
  p.execs.hold_left();
  p.volumes.reopen_data_sockets();
  p.read_manifests();
  p.reconciler->start();
  p.reconciler->step();  // so that the first reader already sees what is wanted
  if (Status served = p.serve(); !served) return served;
  p.watch();
  p.follow_preload();
  p.upstream->start();
  p.commands->start();
  p.link->start();
  p.metrics.start();
  p.loop = std::thread([&p] {
    name_this_thread("reconciler");
    p.reconciler->run();
  });
  log_info("wherryd is ready", {{"device", p.config.device.id}, {"version", p.options.version}});
  return {};
}

void Agent::reload(const Config& fresh) {
  log_set_level(fresh.log.level);
  parts_->images.set_bandwidth_limit(fresh.images.bandwidth_limit);
  for (const ConfigChange& change : config_changes(parts_->config, fresh)) {
    if (change.needs_restart) {
      log_warn("a changed setting takes effect when wherryd is restarted", {{"key", change.key}});
    }
  }
  parts_->diagnosis->reloaded(fresh);
  parts_->devices.set(device_options(fresh));
  parts_->mailbox.post([](Mail& mail) { mail.devices_changed = true; });
  parts_->read_manifests();
  log_info("configuration and local manifests read again");
}

bool Agent::stop() {
  Parts& p = *parts_;
  if (!p.loop.joinable()) return true;
  p.stopping.cancel();
  p.mailbox.post([](Mail& mail) { mail.stop = true; });
  p.loop.join();
  if (p.preload_follower.joinable()) p.preload_follower.join();
  p.api->stop();
  p.data->stop();
  p.metrics.stop();
  p.forwarder->stop();
  p.upstream->stop();
  p.commands->stop();
  const bool looked = p.diagnosis->stop();
  p.link->stop(kGoodbye);
  p.store.reset();
  if (p.lanes->wait_idle(kLastWords) && looked) return true;
  log_warn("something still hangs in the container stack and is abandoned");
  return false;
}

Status Agent::alive() const { return parts_->reconciler->alive(); }

}  // namespace wherry
