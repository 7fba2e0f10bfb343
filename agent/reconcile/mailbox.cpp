#include "agent/reconcile/mailbox.h"

#include <algorithm>
#include <utility>

namespace wherry {

void Mailbox::post_event(const runtime::Event& event) {
  using Kind = runtime::Event::Kind;
  post([&](Mail& mail) {
    switch (event.kind) {
      case Kind::ContainerExited:
      case Kind::ContainerOom:
        if (event.pod.empty()) {
          mail.look_at_all = true;
        } else {
          mail.look_at.insert(event.pod);
        }
        break;
      case Kind::Connected:
        mail.connected = true;
        mail.look_at_all = mail.images_changed = true;
        break;
      case Kind::Disconnected:
        mail.connected = false;
        mail.detail = event.detail;
        break;
      case Kind::ImagesChanged:
        mail.images_changed = true;
        break;
    }
  });
}

Mail Mailbox::take() {
  Mail taken;
  const std::lock_guard lock(mutex_);
  std::swap(taken, mail_);
  filled_ = progressed_ = false;
  return taken;
}

bool Mailbox::empty() const {
  const std::lock_guard lock(mutex_);
  return !filled_ && !progressed_;
}

void Mailbox::post_progress(const std::string& reference, const runtime::PullProgress& progress) {
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    mail_.progress[reference] = progress;
    progressed_ = true;
    wake = !patient_;
  }
  if (wake) changed_.notify_one();
}

void Mailbox::wait(Duration timeout, Duration patience) {
  std::unique_lock lock(mutex_);
  if (patience > Duration::zero()) {
    patience = std::min(patience, timeout);
    patient_ = true;
    const bool mail = changed_.wait_for(lock, patience, [this] { return filled_; });
    patient_ = false;
    if (mail) return;
    timeout -= patience;
  }
  changed_.wait_for(lock, timeout, [this] { return filled_ || progressed_; });
}

}  // namespace wherry
