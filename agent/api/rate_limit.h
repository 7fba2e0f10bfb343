#pragma once
// How often somebody may do something: a bucket of tokens for each, refilled as time goes by.

#include <map>
#include <mutex>
#include <string>

#include "base/clock.h"

namespace wherry {

struct Rate {
  double per_second = 1;  // above 0
  double at_once = 1;     // 1 or more: how many a bucket holds
};

// Thread-safe. The clock must outlive it.
class RateLimit {
 public:
  RateLimit(Rate rate, const Clock& clock, size_t most_keys = 256)
      : rate_(rate), clock_(clock), most_keys_(most_keys) {}

  // Takes a token. Zero: granted; else how long until there is one.
  Duration take(const std::string& key);
  // Gives back one that was taken for nothing.
  void give_back(const std::string& key);
  // How long until there is one, without taking it.
  Duration wait(const std::string& key) const;

 private:
  struct Bucket {
    double left;
    MonoTime at;
  };
  double left_in(const Bucket& bucket, MonoTime now) const;
  Duration until_one(double left) const;
  void make_room(MonoTime now);

  const Rate rate_;
  const Clock& clock_;
  // Beyond it the fullest bucket is forgotten: who has taken most is remembered longest.
  const size_t most_keys_;
  mutable std::mutex mutex_;
  std::map<std::string, Bucket> buckets_;
};

}  // namespace wherry
