// The door's implementation: a thread and what it works on.

#include <thread>
#include <utility>

#include "agent/fleet/fleet_link.h"
#include "agent/fleet/link_worker.h"

namespace wherry {
namespace {

class MqttLink final : public FleetLink {
 public:
  MqttLink(FleetOptions options, FleetHandlers handlers, const Clock& clock)
      : worker_(std::make_shared<LinkWorker>(std::move(options), std::move(handlers), clock)) {}
  ~MqttLink() override { MqttLink::stop(Duration::zero()); }

  void start() override {
    if (thread_.joinable()) return;
    // The thread shares the worker: it may have to be left behind in the resolver.
    thread_ = std::thread([worker = worker_] { worker->run(); });
  }
  void publish_reported(std::string json) override { worker_->publish_reported(std::move(json)); }
  void publish(OutboundMessage message) override { worker_->publish(std::move(message)); }
  bool answer(CommandAnswer answer) override { return worker_->answer(std::move(answer)); }
  LinkStatus status() const override { return worker_->status(); }
  void stop(Duration timeout) override {
    if (!thread_.joinable()) return;
    worker_->request_stop(timeout);
    if (worker_->wait_finished(timeout))
      thread_.join();
    else
      thread_.detach();
  }

 private:
  const std::shared_ptr<LinkWorker> worker_;
  std::thread thread_;
};

}  // namespace

std::unique_ptr<FleetLink> make_mqtt_link(FleetOptions options, FleetHandlers handlers,
                                          const Clock& clock) {
  return std::make_unique<MqttLink>(std::move(options), std::move(handlers), clock);
}

}  // namespace wherry
