#include "base/result.h"

#include <gtest/gtest.h>

namespace wherry {
namespace {

Result<int> half(int value) {
  if (value % 2 != 0) return fail(Code::InvalidArgument, "odd", "OddNumber");
  return value / 2;
}

Result<int> quarter(int value) {
  const Result<int> once = half(value);
  if (!once) return fail(once.error(), "halve " + std::to_string(value));
  return half(*once);
}

TEST(Result, CarriesAValue) { EXPECT_EQ(*quarter(8), 2); }

TEST(Result, WrappingKeepsTheCodeAndTellsTheChain) {
  const Result<int> wrong = quarter(3);
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code(), Code::InvalidArgument);
  EXPECT_EQ(wrong.error().message(), "halve 3");
  EXPECT_EQ(wrong.error().full(), "halve 3: odd");
  ASSERT_NE(wrong.error().cause(), nullptr);
  EXPECT_EQ(wrong.error().cause()->message(), "odd");
}

TEST(Result, ReasonIsTheNearestOneInTheChain) {
  const Error inner(Code::Unavailable, "refused", "Inner");
  EXPECT_EQ(inner.wrap("a").wrap("b").reason(), "Inner");
  EXPECT_EQ(inner.wrap("a").with_reason("Outer").wrap("b").reason(), "Outer");
  EXPECT_EQ(Error(Code::Internal, "x").reason(), "");
}

TEST(Result, EmptyMessagesLeaveNoStrayColons) {
  EXPECT_EQ(Error(Code::Internal, "below").wrap("").full(), "below");
}

TEST(Result, EveryCodeHasItsOwnName) {
  EXPECT_EQ(to_string(Code::InvalidArgument), "InvalidArgument");
  EXPECT_EQ(to_string(Code::NotFound), "NotFound");
  EXPECT_EQ(to_string(Code::AlreadyExists), "AlreadyExists");
  EXPECT_EQ(to_string(Code::PermissionDenied), "PermissionDenied");
  EXPECT_EQ(to_string(Code::ResourceExhausted), "ResourceExhausted");
  EXPECT_EQ(to_string(Code::FailedPrecondition), "FailedPrecondition");
  EXPECT_EQ(to_string(Code::Unavailable), "Unavailable");
  EXPECT_EQ(to_string(Code::DeadlineExceeded), "DeadlineExceeded");
  EXPECT_EQ(to_string(Code::Cancelled), "Cancelled");
  EXPECT_EQ(to_string(Code::DataLoss), "DataLoss");
  EXPECT_EQ(to_string(Code::Unimplemented), "Unimplemented");
  EXPECT_EQ(to_string(Code::Internal), "Internal");
}

}  // namespace
}  // namespace wherry
