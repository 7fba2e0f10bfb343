// Our trimmed .proto files say the same as the distribution's own for every message, field, enum
// value and method that they have, and methods.h calls nothing else.

#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include <gmock/gmock.h>
#include <google/protobuf/descriptor.pb.h>
#include <gtest/gtest.h>

#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace wherry::runtime {
namespace {

using google::protobuf::DescriptorProto;
using google::protobuf::EnumDescriptorProto;
using google::protobuf::FieldDescriptorProto;
using google::protobuf::FileDescriptorSet;
using google::protobuf::MethodDescriptorProto;

const std::string kOurs = WHERRY_SOURCE_DIR "/runtime/containerd/proto";
const std::string kGo = "/usr/share/gocode/src";  // golang-github-containerd-containerd-dev
const std::string kApi = "github.com/containerd/containerd/";

// Everything in a set of files, by full name.
struct Catalogue {
  std::map<std::string, DescriptorProto> messages;
  std::map<std::string, EnumDescriptorProto> enums;
  std::map<std::string, MethodDescriptorProto> methods;  // "/package.Service/Method"

  explicit Catalogue(const FileDescriptorSet& files) {
    for (const auto& file : files.file()) {
      const std::string scope = "." + file.package();
      for (const auto& message : file.message_type()) add(scope, message);
      for (const auto& entry : file.enum_type()) enums[scope + "." + entry.name()] = entry;
      for (const auto& service : file.service()) {
        for (const auto& method : service.method()) {
          methods["/" + file.package() + "." + service.name() + "/" + method.name()] = method;
        }
      }
    }
  }

 private:
  void add(const std::string& scope, const DescriptorProto& message) {
    const std::string name = scope + "." + message.name();
    messages[name] = message;
    for (const auto& nested : message.nested_type()) add(name, nested);
    for (const auto& entry : message.enum_type()) enums[name + "." + entry.name()] = entry;
  }
};

Catalogue compile(const std::vector<std::string>& roots, const std::vector<std::string>& files) {
  const test::TempDir directory;
  std::vector<std::string> argv{"protoc", "--include_imports",
                                "--descriptor_set_out=" + (directory / "set")};
  for (const std::string& root : roots) argv.push_back("-I" + root);
  argv.insert(argv.end(), files.begin(), files.end());
  test::run_ok(argv);
  FileDescriptorSet set;
  std::ifstream file(directory / "set", std::ios::binary);
  EXPECT_TRUE(set.ParseFromIstream(&file));
  return Catalogue(set);
}

std::vector<std::string> our_files() {
  const std::string listing = test::run_ok({"find", kOurs, "-name", "*.proto", "-printf", "%f\\n"});
  std::istringstream lines(listing);
  std::vector<std::string> files;
  for (std::string line; std::getline(lines, line);) files.push_back(line);
  return files;
}

// The well-known messages are ours only in name (wellknown.proto says why).
std::string their_name(const std::string& name) {
  const std::string ours = ".wherry.wellknown.";
  if (name == ours + "Status") return ".google.rpc.Status";
  return name.starts_with(ours) ? ".google.protobuf." + name.substr(ours.size()) : name;
}

class WireCompatibility : public testing::Test {
 protected:
  WireCompatibility()
      : ours_(compile({kOurs}, our_files())),
        theirs_(compile(
            {kGo, kGo + "/github.com/gogo/protobuf", kGo + "/github.com/gogo/googleapis",
             "/usr/include"},
            {kApi + "api/services/containers/v1/containers.proto",
             kApi + "api/services/content/v1/content.proto",
             kApi + "api/services/diff/v1/diff.proto", kApi + "api/services/events/v1/events.proto",
             kApi + "api/services/images/v1/images.proto",
             kApi + "api/services/introspection/v1/introspection.proto",
             kApi + "api/services/leases/v1/leases.proto",
             kApi + "api/services/snapshots/v1/snapshots.proto",
             kApi + "api/services/tasks/v1/tasks.proto",
             kApi + "api/services/version/v1/version.proto", kApi + "api/events/task.proto",
             kApi + "runtime/v2/runc/options/oci.proto"})) {}

  static const FieldDescriptorProto* field_of(const DescriptorProto& message, int number) {
    for (const auto& field : message.field()) {
      if (field.number() == number) return &field;
    }
    return nullptr;
  }

  Catalogue ours_;
  Catalogue theirs_;
};

TEST_F(WireCompatibility, EveryFieldOfOursIsTheirs) {
  ASSERT_GT(ours_.messages.size(), 50U);
  for (const auto& [name, message] : ours_.messages) {
    ASSERT_EQ(theirs_.messages.count(their_name(name)), 1U) << name;
    const DescriptorProto& other = theirs_.messages.at(their_name(name));
    EXPECT_EQ(message.options().map_entry(), other.options().map_entry()) << name;
    for (const auto& field : message.field()) {
      SCOPED_TRACE(name + "." + field.name());
      const FieldDescriptorProto* same = field_of(other, field.number());
      ASSERT_NE(same, nullptr);
      EXPECT_EQ(field.name(), same->name());
      EXPECT_EQ(field.type(), same->type());
      EXPECT_EQ(field.label(), same->label());
      EXPECT_EQ(their_name(field.type_name()), same->type_name());
    }
  }
}

TEST_F(WireCompatibility, EveryEnumValueOfOursIsTheirs) {
  ASSERT_GE(ours_.enums.size(), 3U);
  for (const auto& [name, entry] : ours_.enums) {
    ASSERT_EQ(theirs_.enums.count(name), 1U) << name;
    std::map<std::string, int> numbers;
    for (const auto& value : theirs_.enums.at(name).value()) numbers[value.name()] = value.number();
    for (const auto& value : entry.value()) {
      ASSERT_EQ(numbers.count(value.name()), 1U) << name << "." << value.name();
      EXPECT_EQ(numbers[value.name()], value.number()) << name << "." << value.name();
    }
  }
}

TEST_F(WireCompatibility, EveryMethodOfOursIsTheirs) {
  ASSERT_GT(ours_.methods.size(), 25U);
  for (const auto& [path, method] : ours_.methods) {
    SCOPED_TRACE(path);
    ASSERT_EQ(theirs_.methods.count(path), 1U);
    const MethodDescriptorProto& same = theirs_.methods.at(path);
    EXPECT_EQ(their_name(method.input_type()), same.input_type());
    EXPECT_EQ(their_name(method.output_type()), same.output_type());
    EXPECT_EQ(method.client_streaming(), same.client_streaming());
    EXPECT_EQ(method.server_streaming(), same.server_streaming());
  }
}

TEST_F(WireCompatibility, TheClientCallsMethodsByTheirTypes) {
  const std::string text = test::read_text(WHERRY_SOURCE_DIR "/runtime/containerd/methods.h");
  const std::regex line(R"re(Method<([\w:]+), ([\w:]+)>\s+k\w+\{\s*"(/[\w./]+)"\})re");
  const auto last_part = [](const std::string& name, char separator) {
    return name.substr(name.rfind(separator) + 1);
  };
  std::set<std::string> called;
  for (std::sregex_iterator it(text.begin(), text.end(), line), end; it != end; ++it) {
    const std::string path = (*it)[3];
    SCOPED_TRACE(path);
    called.insert(path);
    ASSERT_EQ(ours_.methods.count(path), 1U);
    const MethodDescriptorProto& method = ours_.methods.at(path);
    EXPECT_EQ(last_part((*it)[1], ':'), last_part(method.input_type(), '.'));
    EXPECT_EQ(last_part((*it)[2], ':'), last_part(method.output_type(), '.'));
  }
  std::set<std::string> declared;
  for (const auto& [path, method] : ours_.methods) declared.insert(path);
  EXPECT_EQ(called, declared) << "our .proto files have what we call, and no more";
}

}  // namespace
}  // namespace wherry::runtime
