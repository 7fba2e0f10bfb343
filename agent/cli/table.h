#pragma once
// Tables and field lists for people.

#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"

namespace wherry::cli {

class Table {
 public:
  explicit Table(std::vector<std::string> header) : rows_{std::move(header)} {}
  void add(std::vector<std::string> row);  // "-" is shown for an empty cell
  // Columns side by side, two blanks between. `width` > 0: the last column is cut to fit.
  std::string render(size_t width) const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

// "Name:   value" lines, values aligned; pairs with an empty value are left out.
std::string render_fields(const std::vector<std::pair<std::string, std::string>>& fields,
                          const std::string& indent = "");

// "5s", "3m12s", "2h5m", "3d4h": two units at most. Negatives (a clock that was set) are "0s".
std::string human_duration(Duration duration);
// How long ago an RFC 3339 time was; "-" where it is empty or broken.
std::string human_age(const std::string& rfc3339, const Clock& clock);

}  // namespace wherry::cli
