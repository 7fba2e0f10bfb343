// The examples of tests/examples: every error and warning of each is the one it names, by path.

#include "tests/examples/example.h"
#include "tests/unit/manifest/manifest_test_support.h"

namespace wherry {
namespace {

using test::Example;
using test::ExampleLine;

class Examples : public testing::TestWithParam<Example> {
 protected:
  // What merge() finds has the source and the file before the path.
  void take(const std::vector<Finding>& from, std::vector<Finding>& to) {
    for (Finding finding : from) {
      const std::string prefix = "manifests/" + GetParam().file + ":";
      if (finding.path.starts_with(prefix)) finding.path.erase(0, prefix.size());
      to.push_back(std::move(finding));
    }
  }
  void compare(const std::string& what, const std::vector<Finding>& found) {
    const std::vector<ExampleLine> wanted = GetParam().all(what);
    for (const ExampleLine& line : wanted) {
      EXPECT_NE(manifest_test::find(found, line.words[0], line.rest), nullptr)
          << "no " << what << " " << line.words[0] << " | " << line.rest;
    }
    EXPECT_EQ(found.size(), wanted.size()) << what << "s:\n" << manifest_test::print(found);
  }
};

TEST_P(Examples, AreTakenOrRefusedAsTheySay) {
  const Document document = parse_local_manifest(GetParam().text, GetParam().file);
  std::vector<Finding> errors, warnings;
  take(document.errors, errors);
  take(document.warnings, warnings);
  if (document.valid()) {
    const Merged merged = merge({{"manifests", &document}}, {"device", "amd64", {}});
    take(merged.errors, errors);
    take(merged.warnings, warnings);
  }
  compare("error", errors);
  compare("warning", warnings);
}

std::string name_of(const testing::TestParamInfo<Example>& info) {
  std::string name = info.param.file.substr(0, info.param.file.find('.'));
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(All, Examples,
                         testing::ValuesIn(test::load_examples(WHERRY_SOURCE_DIR
                                                               "/tests/examples")),
                         name_of);

TEST(ExampleFolder, HoldsManyOfBothKinds) {
  const auto all = test::load_examples(WHERRY_SOURCE_DIR "/tests/examples");
  const auto refused = std::count_if(all.begin(), all.end(),
                                     [](const Example& example) { return example.refused(); });
  EXPECT_GE(all.size() - static_cast<size_t>(refused), 30U);
  EXPECT_GE(refused, 8);
}

}  // namespace
}  // namespace wherry
