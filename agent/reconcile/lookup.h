#pragma once
// What a map has under a key, or null.

#include <string>

namespace wherry {

template <typename Map>
const typename Map::mapped_type* lookup(const Map& map, const std::string& key) {
  const auto found = map.find(key);
  return found == map.end() ? nullptr : &found->second;
}

}  // namespace wherry
