#include "agent/reconcile/admission.h"

#include <algorithm>
#include <array>
#include <functional>
#include <optional>
#include <set>
#include <tuple>

#include "agent/reconcile/device_need.h"
#include "agent/reconcile/pod_tally.h"
#include "base/quantity.h"
#include "base/text.h"

namespace wherry {
namespace {

using runtime::ContainerState;
using runtime::ContainerStatus;
using runtime::PodSpec;
using runtime::PodStatus;

// No device has more, and a thousand of it can be added up.
constexpr int64_t kMost = int64_t{1} << 50;
constexpr size_t kHoldersNamed = 4;

// One thing that there is so much of.
struct Dimension {
  int64_t Amounts::*field;  // null: the extended resource named `of`
  std::string reason;
  std::string of;

  int64_t in(const Amounts& amounts) const {
    if (field != nullptr) return amounts.*field;
    const auto found = amounts.extended.find(of);
    return found == amounts.extended.end() ? 0 : found->second;
  }
};
const std::array<Dimension, 3>& fixed_dimensions() {
  static const std::array<Dimension, 3> kFixed{
      {{&Amounts::memory, "InsufficientMemory", "memory"},
       {&Amounts::cpu_milli, "InsufficientCPU", "cpu"},
       {&Amounts::storage, "InsufficientEphemeralStorage", "ephemeral storage"}}};
  return kFixed;
}

template <typename Combine>
Amounts combine(Amounts a, const Amounts& b, Combine with) {
  for (const Dimension& each : fixed_dimensions()) {
    a.*each.field = with(a.*each.field, b.*each.field);
  }
  for (const auto& [name, amount] : b.extended) {
    a.extended[name] = with(a.extended[name], amount);
  }
  return a;
}
Amounts operator+(Amounts a, const Amounts& b) { return combine(std::move(a), b, std::plus<>()); }
Amounts operator-(Amounts a, const Amounts& b) { return combine(std::move(a), b, std::minus<>()); }
Amounts larger(Amounts a, const Amounts& b) {
  return combine(std::move(a), b, [](int64_t x, int64_t y) { return std::max(x, y); });
}

Amounts asked(const PodSpec& pod) {
  runtime::Resources request = request_of(pod);
  for (auto& [name, amount] : request.extended) amount = std::min(amount, kMost);
  return {std::min(request.cpu_request_milli, kMost), std::min(request.memory_request, kMost),
          std::min(request.storage_request, kMost), std::move(request.extended)};
}

bool is_there(const ContainerStatus& container) {
  return !container.before_boot && container.state != ContainerState::Exited;
}

// What it holds, by the sizes that its containers have now.
Amounts held(const PodSpec& spec, const PodStatus& pod) {
  const auto resized = resized_containers(spec, pod);
  if (resized.empty()) return asked(spec);
  PodSpec now;
  now.containers = spec.containers;
  for (runtime::ContainerSpec& container : now.containers) {
    for (const ContainerStatus* status : resized) {
      if (status->name != container.name) continue;
      container.resources.cpu_request_milli = status->size->cpu_request_milli;
      container.resources.memory_request = status->size->memory_request;
    }
  }
  return asked(now);
}

// Of devices, what its containers have is known, whatever its spec says; what is gone nobody else
// could have.
void correct_devices(const PodStatus& pod, const runtime::DeviceInventory* inventory,
                     Amounts& hold) {
  const HeldUnits units = held_units(pod, inventory);
  for (const auto& [name, count] : units.gone) {
    int64_t& amount = hold.extended[name];
    amount = std::max<int64_t>(0, amount - count);
  }
  for (const auto& [name, count] : units.there) {
    int64_t& amount = hold.extended[name];
    amount = std::max(amount, count);
  }
}

struct Party {
  std::string name;
  const WorkloadSpec* wanted = nullptr;
  Amounts hold, want;
  bool holds = false;    // and stays
  bool grows = false;    // in place: only into free room, as nobody knows yet whether it can
  bool leaving = false;  // it has what it holds until it is gone
  bool wants = false;
  bool senior = false;   // it had its place before
  int64_t priority = 0;  // its own, or that of one that depends on it
  size_t depth = 0;      // of its dependencies: those with none come first
  bool known = false;    // by its spec, and so by its priority

  // Who comes back to its place is before those who have theirs and want another, and these are
  // before newcomers.
  int turn() const { return !senior ? 2 : holds ? 1 : 0; }
};

class Bookkeeper {
 public:
  explicit Bookkeeper(const PlanInput& input) : input_(input) {
    const Capacity& capacity = input.capacity;
    limit_ = capacity.has - capacity.kept;
    if (input.devices) {
      for (const auto& [name, stock] : input.devices->resources) {
        limit_.extended[name] = stock.total;
      }
    }
  }

  Demand demand() {
    gather();
    Demand demand{limit_, {}};
    for (const Party& party : parties_) {
      if (!party.wants && party.leaving) continue;
      demand.wanted = demand.wanted + (party.wants ? party.want : party.hold);
    }
    return demand;
  }

  Rooms run() {
    gather();
    list_dimensions();
    if (all_fit()) return {};
    for (const Party& party : parties_) {
      if (party.holds) used_ = used_ + party.hold;
      if (party.leaving) leaving_ = leaving_ + party.hold;
    }
    rank();
    std::vector<Party*> asking;
    for (Party& party : parties_) {
      if (party.wants) asking.push_back(&party);
    }
    std::sort(asking.begin(), asking.end(), [](const Party* a, const Party* b) {
      return std::tuple(-a->priority, a->depth, a->turn(), a->name) <
             std::tuple(-b->priority, b->depth, b->turn(), b->name);
    });
    for (Party* party : asking) give(*party);
    return std::move(rooms_);
  }

 private:
  const WorkloadMemory* memory_of(const std::string& name) const {
    const auto found = input_.memory.find(name);
    return found == input_.memory.end() ? nullptr : &found->second;
  }

  void gather() {
    for (const auto& [name, spec] : input_.desired) {
      const auto pod = input_.observed.find(name);
      add(name, spec.get(), pod == input_.observed.end() ? nullptr : &pod->second);
    }
    for (const auto& [name, pod] : input_.observed) {
      if (!input_.desired.contains(name)) add(name, nullptr, &pod);
    }
  }

  void list_dimensions() {
    dimensions_.assign(fixed_dimensions().begin(), fixed_dimensions().end());
    std::set<std::string> names;
    for (const Party& party : parties_) {
      for (const auto& [name, amount] : party.want.extended) names.insert(name);
    }
    for (const std::string& name : names) {
      const bool pages = runtime::huge_page_of(name).has_value();
      dimensions_.push_back({nullptr, pages ? kInsufficientPages : kInsufficientDevices, name});
    }
  }

  void add(const std::string& name, const WorkloadSpec* wanted, const PodStatus* pod) {
    const WorkloadMemory* memory = memory_of(name);
    Party party;
    party.name = name;
    party.wanted = wanted;
    party.known = wanted != nullptr;
    party.senior = pod != nullptr || (memory != nullptr && memory->placed);
    const bool there =
        pod != nullptr && std::any_of(pod->containers.begin(), pod->containers.end(), is_there);
    if (there) {
      party.hold = held_by(*pod, wanted, memory);
      correct_devices(*pod, input_.devices.get(), party.hold);
    }
    if (wanted == nullptr) {
      (input_.held_sources.contains(pod_label(*pod, kSourceLabel)) ? party.holds : party.leaving) =
          there;
    } else {
      place(party, pod, memory, there);
    }
    if (party.wants) party.want = asked(wanted->pod);
    if (party.holds || party.leaving || party.wants) parties_.push_back(std::move(party));
  }

  static Amounts held_by(const PodStatus& pod, const WorkloadSpec* wanted,
                         const WorkloadMemory* memory) {
    if (wanted != nullptr && wanted->pod.hash == pod.hash) return held(wanted->pod, pod);
    const SpecPtr previous = memory == nullptr ? nullptr : memory->previous;
    return previous && previous->pod.hash == pod.hash ? held(previous->pod, pod) : Amounts{};
  }

  // By its previous version, where that stands in, and nothing of it runs.
  std::optional<Amounts> asked_before(const WorkloadSpec& wanted, const PodStatus* pod,
                                      const WorkloadMemory* memory) const {
    if (memory == nullptr || !memory->previous || wanted.claim != Claim::Run) return std::nullopt;
    if (wanted.update_strategy == UpdateStrategy::DeleteFirst) return std::nullopt;
    if (memory->eviction.waits(input_.now)) return std::nullopt;
    const PodSpec& previous = memory->previous->pod;
    if (pod != nullptr && pod->hash != previous.hash) return std::nullopt;
    return asked(previous);
  }

  void place(Party& party, const PodStatus* pod, const WorkloadMemory* memory, bool there) const {
    const WorkloadSpec& wanted = *party.wanted;
    const bool runs = wanted.claim == Claim::Run || wanted.claim == Claim::Once;
    if (wanted.claim == Claim::Down || (memory != nullptr && memory->kill_at)) {
      party.leaving = there;
      party.wants = runs;
    } else if (there) {
      party.holds = true;
      const bool replaced = needs_replacement(wanted, *pod, input_.digests);
      party.grows = !replaced;
      party.wants = runs && (replaced || !resized_containers(wanted.pod, *pod).empty());
    } else if (const auto before = asked_before(wanted, pod, memory)) {
      // It keeps its place until its next version has one.
      party.holds = party.wants = true;
      party.hold = *before;
    } else if (runs && pod != nullptr && needs_replacement(wanted, *pod, input_.digests)) {
      party.wants = true;
    } else if (runs && !(memory != nullptr && memory->eviction.waits(input_.now))) {
      const PodTally sum = tally(wanted, pod, memory, input_.now);
      if (sum.waiting + sum.due.size() == 0) return;  // it has ended
      party.holds = sum.begun;  // it waits to be started again, and keeps its place
      party.wants = !sum.begun;
      if (party.holds) party.hold = asked(wanted.pod);
    }
  }

  // A dependency goes before what depends on it: else both could wait for each other.
  void rank() {
    std::map<std::string, int64_t> priorities;
    std::map<std::string, size_t> depths;
    std::vector<const WorkloadSpec*> order;  // dependencies first
    for (const auto& [name, spec] : input_.desired) descend(*spec, depths, order);
    for (auto each = order.rbegin(); each != order.rend(); ++each) {
      auto& own = priorities.try_emplace((*each)->name(), (*each)->priority).first->second;
      own = std::max<int64_t>(own, (*each)->priority);
      for (const std::string& name : (*each)->depends_on) {
        const auto dependency = priorities.try_emplace(name, own).first;
        dependency->second = std::max(dependency->second, own);
      }
    }
    for (Party& party : parties_) {
      if (!party.known) continue;
      party.priority = priorities[party.name];
      party.depth = depths[party.name];
    }
  }

  void descend(const WorkloadSpec& spec, std::map<std::string, size_t>& depths,
               std::vector<const WorkloadSpec*>& order) const {
    if (!depths.emplace(spec.name(), 0).second) return;
    size_t depth = 0;
    for (const std::string& name : spec.depends_on) {
      const auto found = input_.desired.find(name);
      if (found == input_.desired.end()) continue;
      descend(*found->second, depths, order);
      depth = std::max(depth, depths[name] + 1);
    }
    depths[spec.name()] = depth;
    order.push_back(&spec);
  }

  bool all_fit() const {
    Amounts all;
    for (const Party& party : parties_) all = all + larger(party.hold, party.want);
    return std::all_of(dimensions_.begin(), dimensions_.end(),
                       [&](const Dimension& each) { return fits(each, all, {}); });
  }

  bool fits(const Dimension& each, const Amounts& want, const Amounts& used) const {
    const bool unlimited = each.field != nullptr && input_.capacity.has.*each.field == 0;
    if (unlimited || each.in(want) == 0) return true;
    return each.in(want) <= each.in(limit_)-each.in(used);
  }
  // The first dimension in which it does not; null where it does in all.
  const Dimension* short_of(const Amounts& want, const Amounts& used) const {
    const auto found = std::find_if(dimensions_.begin(), dimensions_.end(),
                                    [&](const Dimension& each) { return !fits(each, want, used); });
    return found == dimensions_.end() ? nullptr : &*found;
  }

  void give(Party& party) {
    const Amounts others = party.holds ? used_ - party.hold : used_;
    const Amounts going = party.leaving ? leaving_ - party.hold : leaving_;
    Room& room = rooms_.wanted[party.name];
    const Dimension* lacks = short_of(party.want, others + going);
    if (lacks == nullptr) {
      room.now = room.promised = true;
      return settle(party, others);
    }
    room.reason = lacks->reason;
    if (lacks->field == nullptr) {
      if (const auto wait = absent(input_.devices.get(), lacks->of, lacks->in(party.want))) {
        room.reason = wait->reason;
        room.message = wait->message;
        return;
      }
    }
    std::vector<Party*> victims;
    if (short_of(party.want, others) != nullptr) {
      victims = choose_victims(party, others);
      if (victims.empty()) {
        room.message = explain(party, *short_of(party.want, others), others);
        return;
      }
    }
    room.promised = true;
    room.message = explain(party, *lacks, others + going) + "; waits for " +
                   leaving_names(party, victims) + " to stop";
    settle(party, others);
    for (Party* victim : victims) {
      used_ = used_ - victim->hold;
      leaving_ = leaving_ + victim->hold;
      victim->holds = false;
      victim->leaving = true;
      rooms_.stops_for.emplace(victim->name, party.name);
    }
  }

  // From now on it counts as having it.
  void settle(Party& party, const Amounts& others) {
    party.hold = party.holds ? larger(party.hold, party.want) : party.want;
    party.holds = true;
    used_ = others + party.hold;
  }

  // As Kubernetes does: all of lower priority are taken away, then given back from the highest on
  // as long as it still fits. Nobody where that does not help.
  std::vector<Party*> choose_victims(const Party& party, Amounts others) {
    if (!party.wanted->preempts || party.grows) return {};
    std::vector<Party*> lower;
    for (Party& other : parties_) {
      if (!other.holds || !other.known || &other == &party || granted(other)) continue;
      if (other.priority >= party.wanted->priority) continue;
      lower.push_back(&other);
      others = others - other.hold;
    }
    if (short_of(party.want, others) != nullptr) return {};
    std::sort(lower.begin(), lower.end(), [](const Party* a, const Party* b) {
      return std::tuple(-a->priority, a->name) < std::tuple(-b->priority, b->name);
    });
    std::erase_if(lower, [&](const Party* other) {
      if (short_of(party.want, others + other->hold) != nullptr) return false;
      others = others + other->hold;
      return true;
    });
    return lower;
  }

  // It holds only what it was promised just now.
  bool granted(const Party& party) const {
    return rooms_.wanted.contains(party.name) && rooms_.wanted.at(party.name).promised;
  }

  static std::string shown(const Dimension& each, const Amounts& amounts) {
    const int64_t amount = std::max<int64_t>(0, each.in(amounts));
    if (each.field == nullptr && !runtime::huge_page_of(each.of)) return std::to_string(amount);
    return each.field == &Amounts::cpu_milli ? std::to_string(amount) + "m" : format_bytes(amount);
  }

  std::string explain(const Party& party, const Dimension& each, const Amounts& used) const {
    const std::string asks = "it asks for " + shown(each, party.want) + " of " + each.of;
    if (!fits(each, party.want, {})) {
      return asks + ", and the device has " + shown(each, limit_) +
             " for workloads: lower its requests";
    }
    return asks + ", and " + shown(each, limit_ - used) + " of the " + shown(each, limit_) +
           " for workloads are free" + holders(party, each);
  }

  std::string holders(const Party& party, const Dimension& each) const {
    std::vector<const Party*> list;
    for (const Party& other : parties_) {
      const bool has = (other.holds || other.leaving) && each.in(other.hold) > 0;
      if (has && &other != &party) list.push_back(&other);
    }
    std::sort(list.begin(), list.end(), [&](const Party* a, const Party* b) {
      return std::tuple(-each.in(a->hold), a->name) < std::tuple(-each.in(b->hold), b->name);
    });
    std::vector<std::string> names;
    for (const Party* other : list) {
      if (names.size() == kHoldersNamed) {
        names.push_back("and " + std::to_string(list.size() - kHoldersNamed) + " more");
        break;
      }
      names.push_back(other->name + " (" + shown(each, other->hold) + ")");
    }
    return names.empty() ? "" : "; held by " + join(names, ", ");
  }

  std::string leaving_names(const Party& party, const std::vector<Party*>& victims) const {
    std::vector<std::string> names;
    for (const Party& other : parties_) {
      const bool goes = std::find(victims.begin(), victims.end(), &other) != victims.end();
      if ((other.leaving || goes) && &other != &party) names.push_back(other.name);
    }
    return join(names, ", ");
  }

  const PlanInput& input_;
  Amounts limit_, used_, leaving_;
  std::vector<Party> parties_;
  std::vector<Dimension> dimensions_;
  Rooms rooms_;
};

}  // namespace

std::vector<const ContainerStatus*> resized_containers(const PodSpec& spec, const PodStatus& pod) {
  std::vector<const ContainerStatus*> resized;
  for (const runtime::ContainerSpec& container : spec.containers) {
    const ContainerStatus* status = find_container(&pod, container.name);
    if (status == nullptr || status->state != ContainerState::Running || !status->size) continue;
    if (!same_size(*status->size, container.resources)) resized.push_back(status);
  }
  return resized;
}

Demand find_demand(const PlanInput& input) { return Bookkeeper(input).demand(); }

Rooms find_rooms(const PlanInput& input) { return Bookkeeper(input).run(); }

}  // namespace wherry
