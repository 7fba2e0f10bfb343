#pragma once
// How far the images have got that are on their way to the device.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace wherry {

// Bytes; a total of 0: not known yet.
struct PullView {
  std::string image;  // as the document has it
  int64_t done_bytes = 0, total_bytes = 0, bytes_per_second = 0;
  int64_t checking_bytes = 0;  // that are there, and are read through before more is asked for

  std::optional<int> percent() const;  // 0 to 100; none while the total is not known
  bool operator==(const PullView&) const = default;
};

// "45 % of 210.0 MiB, 1.2 MiB/s": all of them together, and what keeps them from going on; ""
// where nothing is known yet.
std::string progress_text(const std::vector<PullView>& pulls);

nlohmann::ordered_json pull_json(const PullView& pull);

}  // namespace wherry
