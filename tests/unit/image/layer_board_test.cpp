// Which layer is fetched next, and when.

#include "runtime/image/layer_board.h"

#include <future>
#include <limits>

#include <gtest/gtest.h>

namespace wherry::image_test {
namespace {

using runtime::Descriptor;
using runtime::LayerBoard;
using runtime::PullPace;
using std::chrono::milliseconds;

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();
constexpr Duration kLong = std::chrono::seconds(60);

class Board : public ::testing::Test {
 protected:
  std::future<std::optional<size_t>> another() {
    return std::async(std::launch::async, [this] { return board_->next(false); });
  }
  void begin() { board_.emplace(layers_, pace_, received_, cancel_); }
  template <typename T>
  static bool waits(std::future<T>& result) {
    return result.wait_for(milliseconds(30)) == std::future_status::timeout;
  }

  const std::vector<Descriptor> layers_{{"", "a", 10}, {"", "b", 10}, {"", "c", 10}, {"", "d", 10}};
  PullPace pace_{0, kNever, 0, milliseconds(1)};  // any link is fast
  std::atomic<int64_t> received_{0};
  CancelToken cancel_;
  std::optional<LayerBoard> board_;
};

TEST_F(Board, OnAFastLinkOneLayerArrivesAtATime) {
  begin();
  EXPECT_EQ(board_->next(true), 0u);
  auto other = another();
  EXPECT_TRUE(waits(other));
  board_->arrived(0);
  EXPECT_EQ(other.get(), 1u) << "while the store verifies the one before";
  board_->fetched(0);
  auto first = std::async(std::launch::async, [this] { return board_->next(true); });
  EXPECT_TRUE(waits(first));
  board_->failed(1, {Code::NotFound, "gone"});
  EXPECT_EQ(first.get(), 2u);
  board_->fetched(2);
  EXPECT_EQ(board_->next(false), 3u);
  EXPECT_EQ(board_->next(false), std::nullopt);
}

TEST_F(Board, WhereTheLinkIsSlowAllGoOnAsSoonAsUnpackingWaits) {
  pace_.fast = kNever;
  begin();
  EXPECT_EQ(board_->next(true), 0u);
  board_->fetched(0);
  EXPECT_EQ(board_->next(true), 1u);
  auto other = another();
  EXPECT_TRUE(waits(other)) << "there is something to unpack";
  board_->unpacked(0);
  EXPECT_EQ(other.get(), 2u);
  EXPECT_EQ(board_->next(false), 3u) << "slow once is slow";
}

TEST_F(Board, OfASmallImageAllLayersAreFetchedAtOnce) {
  pace_.large = 41;
  begin();
  EXPECT_EQ(board_->next(false), 0u);
  EXPECT_EQ(board_->next(false), 1u);
}

TEST_F(Board, WhereEnoughIsThereToUnpackOneDownloadGoesOn) {
  pace_ = {kNever, 20, 0, kLong};
  begin();
  EXPECT_EQ(board_->next(false), 0u);
  EXPECT_EQ(board_->next(false), 1u);
  board_->fetched(1);
  EXPECT_EQ(board_->next(false), 2u) << "nothing can be unpacked yet";
  board_->fetched(0);
  auto other = another();
  EXPECT_TRUE(waits(other));
  board_->unpacked(0);
  EXPECT_EQ(other.get(), 3u);
  EXPECT_EQ(board_->next(true), std::nullopt);
}

TEST_F(Board, TheFirstGoesOnWhateverThereIsToUnpack) {
  pace_ = {kNever, 10, 0, kLong};
  begin();
  for (size_t layer = 0; layer < layers_.size(); ++layer) {
    EXPECT_EQ(board_->next(true), layer);
    board_->fetched(layer);
  }
}

TEST_F(Board, ACancelEndsEachWait) {
  begin();
  EXPECT_EQ(board_->next(true), 0u);
  auto other = another();
  auto unpacking = std::async(std::launch::async, [&] { return board_->wait_for(0, kLong); });
  EXPECT_TRUE(waits(other) && waits(unpacking));
  cancel_.cancel();
  EXPECT_EQ(other.get(), std::nullopt);
  EXPECT_EQ(unpacking.get().error().code(), Code::Cancelled);
  EXPECT_EQ(board_->next(true), std::nullopt);
}

TEST_F(Board, TellsOfTheFirstFailure) {
  begin();
  EXPECT_FALSE(*board_->wait_for(0, Duration::zero()));
  board_->failed(1, {Code::NotFound, "gone"});
  board_->failed(0, {Code::Cancelled, "cancelled"});
  EXPECT_EQ(board_->wait_for(0, kLong).error().full(), "layer 2 of 4: gone");
  EXPECT_EQ(board_->failure().error().code(), Code::NotFound);
  board_->fetched(2);
  EXPECT_TRUE(*board_->wait_for(2, kLong)) << "what is there is there";
}

}  // namespace
}  // namespace wherry::image_test
