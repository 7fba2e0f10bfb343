#include "agent/simulate/virtual_device.h"

#include <csignal>
#include <utility>

#include "agent/reconcile/event_json.h"
#include "agent/reconcile/wake.h"
#include "base/text.h"

namespace wherry::simulate {
namespace {

// What a device does in one turn before the others have theirs.
constexpr int kMostRounds = 20;

bool ends_well(const runtime::PodSpec& pod, const runtime::ContainerSpec& container) {
  if (container.role == runtime::ContainerRole::Init) return true;
  const auto owner = pod.labels.find(kOwnerLabel);
  return container.role == runtime::ContainerRole::Main && owner != pod.labels.end() &&
         owner->second.starts_with("Job/");
}

}  // namespace

Status VirtualDevice::Memory::save_document(const StoredDocument&,
                                            const std::vector<EventRecord>& news) {
  for (const EventRecord& event : news) {
    if (Status kept = append_event(event); !kept) return kept;
  }
  return {};
}

Status VirtualDevice::Memory::append_event(const EventRecord& event) {
  EventRecord numbered = event;
  numbered.number = ++last;
  events.add(event_record(numbered));
  return {};
}

VirtualDevice::VirtualDevice(DeviceSetup setup, const Clock& clock)
    : clock_(clock),
      behaviour_(setup.behaviour),
      random_(setup.seed),
      events_(random_uuid()),
      records_(events_),
      images_(behaviour_.pulls_fail),
      runtime_(images_.store(), clock,
               [this](const runtime::PodSpec& pod, const runtime::ContainerSpec& container) {
                 started(pod, container);
               }),
      logs_(clock),
      lanes_(clock,
             [this](Lane lane) {
               if (lane == Lane::Pull) return jittered(behaviour_.pull);
               return lane == Lane::Work ? jittered(behaviour_.action) : Duration::zero();
             }),
      link_(std::move(setup.fleet), setup.connect_at, events_, clock, link_handlers()),
      commands_(command_parts()),
      taker_(commands_, clock,
             [this](CommandAnswer answer) { return link_.answer(std::move(answer)); }),
      reconciler_(make_reconciler(setup)) {}

Reconciler VirtualDevice::make_reconciler(DeviceSetup& setup) {
  ReconcilerOptions options;
  for (const std::string& group : setup.device.groups) options.sources.push_back("groups/" + group);
  options.sources.push_back("devices/" + setup.device.id);
  options.facts = DeviceFacts{setup.device.id, setup.device.arch, setup.device.labels};
  options.facts.cpu_milli = int64_t{setup.device.cpus} * 1000;
  options.facts.memory_bytes = setup.device.memory_bytes;
  options.device = std::move(setup.device);
  ReconcilerParts parts{runtime_,
                        images_,
                        records_,
                        board_,
                        lanes_,
                        mailbox_,
                        clock_,
                        [this](std::string json) { link_.publish_reported(std::move(json)); },
                        []() -> Result<std::string> { return std::string("simulated"); }};
  parts.health = &health_;
  parts.resizer = &runtime_.fake();
  return Reconciler(std::move(parts), std::move(options));
}

DeviceLinkHandlers VirtualDevice::link_handlers() {
  return {[this](DesiredMessage message) {
            mailbox_.post(
                [&](Mail& mail) { mail.documents[message.source] = std::move(message.payload); });
          },
          [this](CommandMessage message) { taker_.receive(std::move(message)); },
          [this](const LinkStatus& status) {
            trouble_ = status.message;
            mailbox_.post([&](Mail& mail) { mail.link = status; });
          }};
}

CommandParts VirtualDevice::command_parts() {
  return {board_,
          clock_,
          logs_,
          images_,
          runtime_.fake(),
          [this](Order given, const CancelToken&) { return order(std::move(given)); },
          [](const CancelToken&) -> Result<runtime::PruneReport> {
            return fail(Code::Unimplemented, "a simulated device keeps its images");
          },
          [this] { mailbox_.post([](Mail& mail) { mail.images_changed = true; }); },
          {}};
}

Duration VirtualDevice::jittered(Duration duration) {
  const double factor = std::uniform_real_distribution<double>(0.5, 1.5)(random_);
  return Duration(static_cast<int64_t>(static_cast<double>(duration.count()) * factor));
}

void VirtualDevice::started(const runtime::PodSpec& pod, const runtime::ContainerSpec& container) {
  const bool well = ends_well(pod, container);
  if (!well && !behaviour_.crashes) return;
  const Duration lasts = jittered(well ? behaviour_.job : behaviour_.crash);
  lanes_.after(lasts, [this, pod = pod.name, name = container.name, well] {
    runtime_.fake().exit_container(pod, name, well ? 0 : 1);
  });
}

// The reconciler takes an order in the step that reads it.
Status VirtualDevice::order(Order order) {
  const auto taken = std::make_shared<std::optional<Status>>();
  mailbox_.post([&](Mail& mail) {
    mail.orders.push_back({std::move(order), [taken](const Status& status) { *taken = status; }});
  });
  reconciler_.step();
  if (*taken) return **taken;
  return fail(Code::Unavailable, "the order was not taken; send it again later");
}

void VirtualDevice::turn(short revents) {
  if (!begun_) {
    begun_ = true;
    health_.listen({[this](runtime::ProbeNews news) {
                      mailbox_.post([&](Mail& mail) { mail.probed.push_back(std::move(news)); });
                    },
                    [this](runtime::HookDone done) {
                      mailbox_.post([&](Mail& mail) { mail.hooked.push_back(std::move(done)); });
                    }});
    runtime_.watch([this](const runtime::Event& event) { mailbox_.post_event(event); });
    mailbox_.post([](Mail& mail) { mail.manifests = LocalManifests(); });  // it has none
    reconciler_.start();
  }
  link_.turn(revents);
  for (int round = 0; round < kMostRounds && work(); ++round) {
  }
  link_.turn(0);  // what came of it is said at once
}

bool VirtualDevice::work() {
  lanes_.run_due();
  const bool commanded = taker_.work();
  const auto wake = reconciler_.wake_at();
  const bool due = !mailbox_.empty() || (wake && *wake <= clock_.now());
  if (due) reconciler_.step();
  runtime_.fake().clear_history();
  return commanded || due;
}

std::optional<MonoTime> VirtualDevice::wake_at() const {
  if (link_.left()) return std::nullopt;
  std::optional<MonoTime> wake = link_.wake_at();
  if (!begun_) return wake;
  if (!mailbox_.empty()) return clock_.now();
  earlier(wake, reconciler_.wake_at());
  earlier(wake, lanes_.wake_at());
  return wake;
}

}  // namespace wherry::simulate
