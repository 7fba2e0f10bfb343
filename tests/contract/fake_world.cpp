#include "runtime/fake/fake_runtime.h"
#include "tests/contract/runtime_world.h"

namespace wherry::runtime {
namespace {

class FakeWorld final : public RuntimeWorld {
 public:
  FakeWorld() {
    images_.add(image());
    runtime_.use(shelf_.devices());
  }
  Runtime& runtime() override { return runtime_; }
  Execs& execs() override { return runtime_; }
  Resizer& resizer() override { return runtime_; }
  std::string image() const override { return "registry.local/busybox:1"; }
  void end_with_3(const ContainerStatus& container) override {
    runtime_.exit_container(container.pod, container.name, 3);
  }
  void disconnect() override { runtime_.disconnect(); }
  void connect() override { runtime_.connect(); }
  void reboot() override { runtime_.reboot(); }
  void plug(const std::string& name, const std::string& like) override { shelf_.plug(name, like); }
  void unplug(const std::string& name) override { shelf_.unplug(name); }
  std::set<std::string> host_sides() override { return runtime_.prepared(); }

 private:
  SystemClock clock_;
  DeviceShelf shelf_;
  FakeImages images_;
  FakeRuntime runtime_{images_, clock_};
};

}  // namespace

std::unique_ptr<RuntimeWorld> make_fake_world() { return std::make_unique<FakeWorld>(); }

}  // namespace wherry::runtime
