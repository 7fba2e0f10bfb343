// What the agent was told to run, and why it was not taken.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/check/probes.h"

namespace wherry::check {
namespace {

using testing::HasSubstr;
using testing::Not;

Finding look(DesiredView::Rejected rejected) {
  auto subject = std::make_shared<Subject>();
  subject->config.security.trusted_keys_dir = "/etc/wherry/keys.d";
  auto state = std::make_shared<StateView>();
  state->desired.emplace_back().source = "devices/dev-1";
  state->desired[0].rejected = std::move(rejected);
  const Findings found = look_at_documents({subject, Knowledge{state, {}, {}, {}}, {}});
  EXPECT_EQ(found.size(), 1u);
  return found.empty() ? Finding{} : found[0];
}

TEST(AgentProbe, AMistakeIsMendedInTheDocument) {
  const Finding found = look({7, {{"spec.items[0]", "is wrong", 0, 0}}});
  EXPECT_EQ(found.seen, "revision 7 was refused: spec.items[0]: is wrong");
  EXPECT_THAT(found.mend, HasSubstr("correct the document"));
}

TEST(AgentProbe, ASignatureThatIsNotBelievedIsNotMendedInTheDocument) {
  const Finding found = look({0, {{"", "the key \"ops\" is not used", 0, 0}}, true});
  EXPECT_EQ(found.about, "devices/dev-1");
  EXPECT_EQ(found.seen, "it was refused unread: the key \"ops\" is not used");
  EXPECT_THAT(found.mend, Not(HasSubstr("correct the document")));
  EXPECT_THAT(found.mend, HasSubstr("/etc/wherry/keys.d"));
  EXPECT_THAT(found.mend, HasSubstr("revision may stay"));
}

}  // namespace
}  // namespace wherry::check
