#pragma once
// Who has which claim, over all documents. Private to this room.

#include <map>
#include <string>
#include <vector>

#include "agent/manifest/environment.h"
#include "agent/manifest/items.h"

namespace wherry::manifest {

class ClaimBook {
 public:
  explicit ClaimBook(const ConfigObjects& objects) : objects_(objects) {}

  // Why `pod`, which is called `name`, cannot have the claim of this volume; "" where it can. Those
  // it was given to before are known.
  std::string take(const PodItem& pod, const std::string& name, const VolumeItem& item);

 private:
  const ConfigObjects& objects_;
  std::map<std::string, std::vector<const PodItem*>> users_;  // of claims that may have one only
};

}  // namespace wherry::manifest
