#include "agent/reconcile/pull_view.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "base/quantity.h"

namespace wherry {

std::optional<int> PullView::percent() const {
  if (total_bytes <= 0) return std::nullopt;
  const int64_t done = std::clamp<int64_t>(done_bytes, 0, total_bytes);
  return static_cast<int>(static_cast<double>(done) / static_cast<double>(total_bytes) * 100.0);
}

std::string progress_text(const std::vector<PullView>& pulls) {
  PullView sum;
  bool all_known = !pulls.empty();
  for (const PullView& pull : pulls) {
    sum.done_bytes += pull.done_bytes;
    sum.total_bytes += pull.total_bytes;
    sum.bytes_per_second += pull.bytes_per_second;
    sum.checking_bytes += pull.checking_bytes;
    all_known = all_known && pull.total_bytes > 0;
  }
  std::string text;
  if (all_known) {
    text = std::to_string(*sum.percent()) + " % of " + format_bytes(sum.total_bytes);
  } else if (sum.done_bytes > 0) {
    // A part of the whole is not known: no percentage would be true.
    text = format_bytes(sum.done_bytes) + " so far";
  }
  if (!text.empty() && sum.bytes_per_second > 0) {
    text += ", " + format_bytes(sum.bytes_per_second) + "/s";
  }
  if (!text.empty() && sum.checking_bytes > 0) {
    text += "; containerd first reads through the " + format_bytes(sum.checking_bytes) +
            " that are here";
  }
  return text;
}

nlohmann::ordered_json pull_json(const PullView& pull) {
  using Json = nlohmann::ordered_json;
  const auto percent = pull.percent();
  return {{"image", pull.image},
          {"percent", percent ? Json(*percent) : Json(nullptr)},
          {"doneBytes", pull.done_bytes},
          {"totalBytes", pull.total_bytes > 0 ? Json(pull.total_bytes) : Json(nullptr)},
          {"bytesPerSecond", pull.bytes_per_second}};
}

}  // namespace wherry
