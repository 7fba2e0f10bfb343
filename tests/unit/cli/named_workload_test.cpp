// Workloads that are named with a kind: never another object that has the same name.

#include <algorithm>

#include <gmock/gmock.h>

#include "tests/unit/cli/program_fixture.h"

namespace wherry::test {
namespace {

using testing::HasSubstr;
using testing::Not;

class NamedWorkloads : public ProgramTest {
 protected:
  NamedWorkloads() {
    StateView state = sample_state();  // the Pods queue and web, which nobody made
    const auto add = [&state](const char* name, const char* owner) {
      WorkloadView pod = state.workloads.at(1);
      pod.name = name;
      pod.owner = owner;
      state.workloads.push_back(pod);
    };
    const auto make = [&state](const char* kind, const char* name, const char* owner = "") {
      ControllerView view;
      view.kind = kind;
      view.name = name;
      view.owner = owner;
      state.controllers.push_back(view);
    };
    add("shop", "Deployment/shop");
    add("till-0", "StatefulSet/till");
    add("till-1", "StatefulSet/till");
    add("backup-7-0", "Job/backup-7");
    make("Deployment", "shop");
    make("StatefulSet", "till");
    make("CronJob", "backup");
    make("CronJob", "idle");
    make("Job", "backup-7", "CronJob/backup");
    std::sort(state.workloads.begin(), state.workloads.end(),
              [](const auto& a, const auto& b) { return a.name < b.name; });
    set_state(state);
    int64_t number = 0;
    for (const char* name : {"web", "shop", "till-0", "backup-7-0", "backup-7", "backup", "gone"}) {
      EventRecord event;
      event.number = ++number;
      event.workload = name;
      event.type = "Normal";
      event.reason = "Seen";
      event.message = std::string("about <") + name + ">";
      add_event(event);
    }
  }
  static std::vector<std::vector<std::string>> commands_about(const std::string& workload) {
    return {{"get", workload},     {"why", workload},
            {"logs", workload},    {"events", workload},
            {"restart", workload}, {"stop", workload},
            {"start", workload},   {"exec", workload, "--", "ls"}};
  }
};

TEST_F(NamedWorkloads, AKindThatRunsNothingIsAUsageError) {
  for (const char* name :
       {"Secret/web", "Node/web", "Foo/web", "../web", "/web", "Deploymnt/web"}) {
    for (const auto& args : commands_about(name)) {
      const CommandResult result = wherry(args);
      EXPECT_EQ(result.exit_code, 2) << args[0] << " " << name;
      expect_one_line(result);
      EXPECT_THAT(result.err, HasSubstr("Pod, Deployment, DaemonSet, StatefulSet, Job, CronJob"));
    }
  }
  EXPECT_THAT(wherry({"logs", "Deploymnt/web"}).err, HasSubstr("did you mean \"Deployment\"?"));
  EXPECT_EQ(wherry({"restart", "Service/web"}).exit_code, 2) << "only get knows Services";
  EXPECT_TRUE(orders().empty());
}

TEST_F(NamedWorkloads, AnObjectThatIsNotThereIsNotFound) {
  for (const char* kind : {"Deployment", "DaemonSet", "StatefulSet", "Job", "CronJob"}) {
    for (const auto& args : commands_about(std::string(kind) + "/web")) {
      const CommandResult result = wherry(args);
      EXPECT_EQ(result.exit_code, 4) << args[0] << " " << kind << ": there is Pod/web only";
      expect_one_line(result);
      EXPECT_THAT(result.err, HasSubstr(std::string("there is no ") + kind + " \"web\""));
    }
  }
  for (const auto& args : commands_about("Pod/nope")) {
    const CommandResult result = wherry(args);
    EXPECT_EQ(result.exit_code, 4) << args[0];
    EXPECT_THAT(result.err, HasSubstr("there is no Pod \"nope\""));
  }
  EXPECT_EQ(wherry({"get", "Service/web"}).exit_code, 4);
  EXPECT_TRUE(orders().empty());
}

TEST_F(NamedWorkloads, ThePodOfAnOwnerIsMeant) {
  for (const char* name : {"web", "Pod/web", "pod/web", "po/web", "pods/web"}) {
    EXPECT_EQ(wherry({"restart", name}).out, "web restarts\n") << name;
  }
  for (const char* name :
       {"Deployment/shop", "deployment/shop", "deploy/shop", "DEPLOYMENTS/shop", "Pod/shop"}) {
    EXPECT_EQ(wherry({"restart", name}).out, "shop restarts\n") << name;
  }
  EXPECT_EQ(wherry({"restart", "Job/backup-7"}).out, "backup-7-0 restarts\n");
  EXPECT_EQ(wherry({"restart", "cj/backup"}).out, "backup-7-0 restarts\n");
  EXPECT_THAT(wherry({"why", "Deployment/shop"}).out, HasSubstr("shop is Running"));
  EXPECT_EQ(wherry({"exec", "sts/till", "--", "ls"}).exit_code, 2);
  const CommandResult several = wherry({"restart", "StatefulSet/till"});
  EXPECT_EQ(several.exit_code, 2);
  EXPECT_EQ(several.err, "wherry: StatefulSet/till has several Pods; name one: till-0, till-1\n");
  EXPECT_EQ(wherry({"logs", "CronJob/idle"}).exit_code, 4);
  EXPECT_THAT(wherry({"logs", "CronJob/idle"}).err, HasSubstr("has no Pod now"));
}

TEST_F(NamedWorkloads, EventsAreThoseOfAllThatIsMeant) {
  EXPECT_THAT(wherry({"events", "Pod/web"}).out, HasSubstr("<web>"));
  EXPECT_THAT(wherry({"events", "Pod/web"}).out, Not(HasSubstr("<shop>")));
  EXPECT_THAT(wherry({"events", "sts/till"}).out, HasSubstr("<till-0>"));
  const std::string backup = wherry({"events", "CronJob/backup"}).out;
  for (const char* name : {"<backup-7-0>", "<backup-7>", "<backup>"}) {
    EXPECT_THAT(backup, HasSubstr(name));
  }
  EXPECT_THAT(backup, Not(HasSubstr("<web>")));
  EXPECT_THAT(wherry({"events", "gone"}).out, HasSubstr("<gone>"));
  EXPECT_EQ(wherry({"events", "-f", "Job/web"}).exit_code, 4);
}

}  // namespace
}  // namespace wherry::test
