// The reader of YAML and JSON: what a value is, where it is, and that nothing gets past its bounds.

#include <functional>
#include <pthread.h>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "agent/manifest/document.h"
#include "agent/manifest/node.h"

namespace wherry::manifest {
namespace {

using testing::HasSubstr;

// The tree as text, so that trees can be compared: "[s:a i:1 {k=b:true}]".
std::string show(const Node& node) {
  std::string text;
  switch (node.kind) {
    case Kind::Null:
      return "null";
    case Kind::Boolean:
      return "b:" + std::string(node.text);
    case Kind::Integer:
      return "i:" + std::string(node.text);
    case Kind::Float:
      return "f:" + std::string(node.text);
    case Kind::String:
      return "s:" + std::string(node.text);
    case Kind::List:
      for (const Node& item : node) text += (text.empty() ? "" : " ") + show(item);
      return "[" + text + "]";
    case Kind::Map:
      for (const Node& item : node) {
        text += (text.empty() ? "" : " ") + std::string(item.key->text) + "=" + show(item);
      }
      return "{" + text + "}";
  }
  return text;
}

std::string read_one(std::string_view text) {
  const Tree tree = read_tree(text);
  if (!tree.errors.empty()) {
    const TreeError& error = tree.errors.front();
    return "error " + std::to_string(error.mark.line) + ":" + std::to_string(error.mark.column) +
           " " + error.message;
  }
  std::string all;
  for (const Node* document : tree.documents) all += (all.empty() ? "" : " --- ") + show(*document);
  return all;
}

TEST(Tree, TellsPlainScalarsApartAsKubernetesDoes) {
  EXPECT_EQ(read_one("[a, 'a', \"a\", '1', \"true\", !!str 1, ! 1]"),
            "[s:a s:a s:a s:1 s:true s:1 s:1]");
  EXPECT_EQ(read_one("[true, True, yes, no, on, OFF, y, N]"),
            "[b:true b:True b:yes b:no b:on b:OFF b:y b:N]");
  EXPECT_EQ(read_one("[tRue, yess, onn]"), "[s:tRue s:yess s:onn]");
  EXPECT_EQ(read_one("[0, -1, +7, 0x1f, 0o17, 0b1, 0644, 1_000]"),
            "[i:0 i:-1 i:+7 i:0x1f i:0o17 i:0b1 i:0644 i:1_000]");
  EXPECT_EQ(read_one("[1.5, .5, 1e3, -1.5E-3, .inf, .nan]"),
            "[f:1.5 f:.5 f:1e3 f:-1.5E-3 f:.inf f:.nan]");
  EXPECT_EQ(read_one("[1.2.3, 64Mi, 0xg, 12:30, 2027-01-01, ., -, +, 1e, 0x]"),
            "[s:1.2.3 s:64Mi s:0xg s:12:30 s:2027-01-01 s:. s:- s:+ s:1e s:0x]");
  EXPECT_EQ(read_one("[~, null, NULL, {a: }, '']"), "[null null null {a=null} s:]");
}

TEST(Tree, ReadsBothBlockAndFlowStyle) {
  EXPECT_EQ(read_one("a: 1\nb:\n- x\n- y: z\nc: {d: [e]}\n"),
            "{a=i:1 b=[s:x {y=s:z}] c={d=[s:e]}}");
  EXPECT_EQ(read_one("a: |\n  1\n  2\nb: >-\n  x\n  y\n"), "{a=s:1\n2\n b=s:x y}");
  EXPECT_EQ(read_one("# nothing\n"), "");
  EXPECT_EQ(read_one("---\n---\na: 1\n---\n# none\n---\nb: 2\n...\n"), "{a=i:1} --- {b=i:2}");
  EXPECT_EQ(read_one("{ kind: Pod, a: [1] }"), "{kind=s:Pod a=[i:1]}")
      << "YAML that looks like JSON";
  EXPECT_EQ(read_one("\xef\xbb\xbf"
                     "a: \xc3\xa4"),
            "{a=s:\xc3\xa4}")
      << "byte order mark";
}

TEST(Tree, ExpandsAliasesAndMergesKeys) {
  EXPECT_EQ(read_one("a: &x {k: 1}\nb: *x\nc: [*x, *x]\n"),
            "{a={k=i:1} b={k=i:1} c=[{k=i:1} {k=i:1}]}");
  EXPECT_EQ(read_one("base: &b {k: 1, l: 2}\nuse: {l: 3, <<: *b}\n"),
            "{base={k=i:1 l=i:2} use={l=i:3 k=i:1}}");
  EXPECT_EQ(read_one("a: &a {k: 1}\nb: &b {k: 2, l: 2}\nu: {<<: [*a, *b]}\n"),
            "{a={k=i:1} b={k=i:2 l=i:2} u={k=i:1 l=i:2}}");
  EXPECT_EQ(read_one("{'<<': 1}"), "{<<=i:1}") << "quoted, it is an ordinary key";
  EXPECT_EQ(read_one("{\"<<\": 1}"), "{<<=i:1}");
}

TEST(Tree, SaysWhereAndWhatIsWrong) {
  const struct {
    const char* text;
    const char* place;
    const char* message;
  } kCases[] = {
      {"a: [1\n", "2:1", "not valid YAML"},
      {"a: [1", "1:6", "not valid YAML"},
      {"{", "1:2", "not valid YAML"},
      {"b: 1\na: 'x", "2:6", "a quote is not closed"},
      {"a: b: c\n", "1:5", "in quotes"},
      {"a:\n\tb: 1\n", "2:1", "use spaces"},
      {"a: @x\n", "1:4", "begins with @ in quotes"},
      {"a: 'x\n", "2:1", "a quote is not closed"},
      {"a: 1\n b: 2\n", "2:3", "indentation"},
      {"a: 1\nb: 2\na: 3\n", "3:1", "the key \"a\" is given twice, at line 1 and at line 3"},
      {"{\"a\":1,\n\"a\":2}", "2:1", "given twice, at line 1 and at line 2"},
      {"a: *x\n", "1:4",
       "alias has no anchor before it; a value that begins with * must be quoted"},
      {"a: &x [*x]\n", "1:8", "contains itself"},
      {"a: !thing x\n", "1:4", "leave it out; a value that begins with ! must be quoted"},
      {"a: !th!ing\n", "1:4", "begins with ! must be quoted"},
      {"a: *$x\n", "1:5", "begins with * or & must be quoted"},
      {"a: !!int x\n", "1:4", "leave it out"},
      {"a: !!binary eA==\n", "1:4", "leave it out"},
      {"? [a]\n: b\n", "1:3", "a key must be a plain word"},
      {"? {a: b}\n: b\n", "1:3", "a key must be a plain word"},
      {"a: &x [b]\n*x : c\n", "2:1", "a key must be a plain word"},
      {"a:\n  <<: 1\n", "2:7", "<< takes an alias"},
      {"a:\n  <<: [{}, 1]\n", "2:12", "<< takes an alias"},
      {"a: \"x\\0y\"\n", "1:4", "NUL"},
      {"a: \x01\n", "1:4", "control characters"},
      {"%YAML 3.0\n---\na: 1\n", "1:1", "not valid YAML"},
      {"{\"a\": \"\\ud800\"}", "1:14", "surrogate"},
      {"{\"a\": \"\\u0000\"}", "1:7", "NUL"},
      {"{\"a\": 1", "1:8", "a comma or }"},
      {"{\"a\": 1} x", "1:10", "not valid JSON"},
  };
  for (const auto& test : kCases) {
    const std::string got = read_one(test.text);
    EXPECT_THAT(got, HasSubstr("error " + std::string(test.place) + " ")) << test.text;
    EXPECT_THAT(got, HasSubstr(test.message)) << test.text;
  }
  EXPECT_THAT(read_one(std::string_view("a: 1\nb: \0\n", 10)), HasSubstr("error 2:4 "));
  EXPECT_THAT(read_one("a: 1\nb: \xff\n"), HasSubstr("error 2:1 the document is not UTF-8"));
  EXPECT_THAT(read_one("\xff\xfe"
                       "a"),
              HasSubstr("not UTF-8"));
}

TEST(Tree, AValueTakenForATagOrAnAliasIsNotQuoted) {
  for (const std::string value :
       {"!hunter2", "!hunter2!x", "!!hunter2", "!<hunter2>", "!hunter2 x", "*hunter2", "*hunter2$",
        "!hunter2 [x]", "!hunter2 {x: y}", "&hunter2 [*hunter2]", "&hunter2$ x", "[*hunter2]"}) {
    const Tree tree = read_tree("a:\n- b: 1\n- password: " + value + "\n");
    ASSERT_EQ(tree.errors.size(), 1U) << value;
    EXPECT_THAT(tree.errors[0].message, testing::Not(HasSubstr("hunter2"))) << value;
    EXPECT_THAT(tree.errors[0].message, HasSubstr("must be quoted")) << value;
    EXPECT_EQ(tree.errors[0].mark.line, 3U) << value;
  }
  const std::string password = "kind: Secret\nstringData:\n  password: ";
  EXPECT_EQ(read_tree(password + "!hunter2\n").errors.at(0).path, "stringData.password");
  EXPECT_EQ(read_tree(password + "*hunter2\n").errors.at(0).path, "stringData.password");
  EXPECT_EQ(read_tree("a: [x, {b: [y, *z]}]\n").errors.at(0).path, "a[1].b[1]");
}

TEST(Tree, CollectsEveryDuplicateKey) {
  const Tree tree = read_tree("a: 1\na: 2\nb:\n  c: 1\n  c: 2\n");
  EXPECT_EQ(tree.errors.size(), 2U);
  std::string many = "x: 1\n";
  for (int i = 0; i < 300; ++i) many += "x: 1\n";
  EXPECT_LE(read_tree(many).errors.size(), kMaxTreeErrors);
}

TEST(Tree, KeysOfLargeMapsStayUnique) {
  std::string text;
  for (int i = 0; i < 5000; ++i) text += "k" + std::to_string(i) + ": 1\n";
  EXPECT_TRUE(read_tree(text).errors.empty());
  EXPECT_THAT(read_one(text + "k4999: 1\n"), HasSubstr("at line 5000 and at line 5001"));
  EXPECT_THAT(read_one(text + "k3: 1\n"), HasSubstr("at line 4 and at line 5001"));
}

std::string repeat(std::string_view text, size_t bytes) {
  std::string all;
  while (all.size() + text.size() <= bytes) all += text;
  return all;
}

TEST(Tree, DepthIsBounded) {
  const auto nested = [](int levels) {
    return std::string(static_cast<size_t>(levels), '[') +
           std::string(static_cast<size_t>(levels), ']');
  };
  EXPECT_TRUE(read_tree(nested(kMaxDepth)).errors.empty());
  EXPECT_THAT(read_one(nested(kMaxDepth + 1)), HasSubstr("nested more than 64"));
  // By alias, too: 40 levels in 40 levels.
  const std::string alias =
      "a: &a " + nested(40) + "\nb: " + std::string(40, '[') + "*a" + std::string(40, ']') + "\n";
  EXPECT_THAT(read_one(alias), HasSubstr("nested more than 64"));
  const std::string merged = "a: &a {k: " + nested(40) + "}\nb: " + std::string(40, '[') +
                             "{<<: *a}" + std::string(40, ']') + "\n";
  EXPECT_THAT(read_one(merged), HasSubstr("nested more than 64"));
}

TEST(Tree, AliasBombsRunIntoTheBudget) {
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 20; ++i) {
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" +
            repeat("*a" + std::to_string(i - 1) + ", ", 60) + "]\n";
  }
  EXPECT_THAT(read_one(bomb), HasSubstr("more than 200000 values"));

  std::string merges = "m0: &m0 {" + repeat("k: 1", 0);
  for (int i = 0; i < 1000; ++i) merges += "k" + std::to_string(i) + ": 1, ";
  merges += "}\n";
  for (int i = 0; i < 1000; ++i) merges += "u" + std::to_string(i) + ": {<<: *m0}\n";
  EXPECT_THAT(read_one(merges), HasSubstr("more than 200000 values"));
}

std::vector<std::string> hostile_texts() {
  constexpr size_t kFull = kMaxDocumentBytes;
  std::vector<std::string> texts;
  for (const char* part :
       {"[",    "{",  "- ", "? ",    "{a: ",  "[a,",     "a: ",    "[x]: ", "!",  "&a ",
        "*a ",  "\"", "'",  "|\n",   "%",     "---\n",   "-\n",    "a:\n ", "\\", "{\"a\":",
        "[[],", "[{", "{[", "\"\\u", "- - [", "a: &a\n", ", ",     "]",     "}",  ": ",
        "#",    "\r", "\t", " ",     "\n",    "<<: ",    "{<<: {", "0",     "x"}) {
    texts.push_back(repeat(part, kFull));
  }
  std::string stairs;
  for (int i = 0; i < 1400; ++i) stairs += std::string(static_cast<size_t>(i), ' ') + "a:\n";
  texts.push_back(stairs);
  texts.push_back("a: &a [x]\n" + repeat("b: [*a,*a]\n", kFull - 10));
  texts.push_back("[" + repeat("{a: b},", kFull - 2) + "]");
  texts.push_back("[" + repeat("\"a\",", kFull - 5) + "1]");
  texts.push_back("x: |\n" + repeat("\n", kFull - 5));
  texts.push_back("x: \"" + repeat("\\n", kFull - 5) + "\"");
  return texts;
}

// What does not recurse does not care about a small stack. Instrumented code needs more of it.
#ifdef WHERRY_SANITIZED
constexpr size_t kSmallStack = 512u << 10;
#else
constexpr size_t kSmallStack = 128u << 10;
#endif
void on_small_stack(std::function<void()> body) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  ASSERT_EQ(pthread_attr_setstacksize(&attributes, kSmallStack), 0);
  pthread_t thread{};
  const auto run = [](void* argument) -> void* {
    (*static_cast<std::function<void()>*>(argument))();
    return nullptr;
  };
  ASSERT_EQ(pthread_create(&thread, &attributes, run, &body), 0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
}

TEST(Tree, HostileTextNeedsLittleStackAndIsRefused) {
  for (const std::string& text : hostile_texts()) {
    on_small_stack([&] {
      const Document document = parse_desired_state(text);
      EXPECT_FALSE(document.valid()) << text.substr(0, 20);
      EXPECT_LE(document.errors.size(), 101U);
      (void)parse_local_manifest(text, "f.yaml");
    });
  }
}

TEST(Tree, TooLargeIsSaidBeforeAnythingElse) {
  EXPECT_TRUE(read_tree("a: " + std::string(kMaxDocumentBytes - 3, 'x')).errors.empty());
  EXPECT_THAT(read_one("a: " + std::string(kMaxDocumentBytes - 2, 'x')),
              HasSubstr("larger than 1 MiB"));
}

// Our JSON reader beside a well-known one: the same verdict, the same values.
std::string show(const nlohmann::ordered_json& json) {
  std::string text;
  if (json.is_null()) return "null";
  if (json.is_boolean()) return json.get<bool>() ? "b:true" : "b:false";
  if (json.is_number_float()) return "f:" + json.dump();
  if (json.is_number()) return "i:" + json.dump();
  if (json.is_string()) return "s:" + json.get<std::string>();
  if (json.is_array()) {
    for (const auto& item : json) text += (text.empty() ? "" : " ") + show(item);
    return "[" + text + "]";
  }
  for (const auto& [key, value] : json.items()) {
    text += (text.empty() ? "" : " ") + key + "=" + show(value);
  }
  return "{" + text + "}";
}

TEST(Json, AgreesWithAnotherReader) {
  for (const char* text :
       {"{}", "[]", "{\"a\":{}}", " [1, 2 ,3] ", "[true,false,null]", "\"x\"", "1", "[-1]",
        "[\"\\u00e4\\ud83d\\ude00\\u20ac\\u0041\"]", "[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]", "[1.5]",
        "{\"a\":\"\xc3\xa4\"}", "[[[[1]]]]", "{\"a\":[{\"b\":1},{\"c\":\"d\"}]}",
        // and what is none
        "", "{", "[", "[1", "[1,", "[,]", "[1,]", "{a:1}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}",
        "[01]", "[1.]", "[.5]", "[+1]", "[1e]", "[1e+]", "[0x1]", "['a']", "[\"\\x\"]",
        "[\"\\u12\"]", "[\"\\udc00\"]", "[\"\\ud800x\"]", "[\"\\ud800\\u0041\"]", "[\"a",
        "[\"\t\"]", "[tru]", "[nul]", "[NaN]", "[1]x", "[1][2]", "//x\n[1]", "[1 2]", "{\"a\" 1}",
        "nulll", "[\"a\"b]"}) {
    const auto theirs = nlohmann::ordered_json::parse(text, nullptr, false);
    const Tree ours = read_json(text);
    EXPECT_EQ(ours.errors.empty(), !theirs.is_discarded()) << text;
    if (!ours.errors.empty() || theirs.is_discarded()) continue;
    EXPECT_EQ(ours.documents.empty() ? "null" : show(*ours.documents[0]), show(theirs)) << text;
  }
}

TEST(Json, SaysWhereAndWhatIsWrong) {
  const struct {
    const char* text;
    uint32_t column;
    const char* message;
  } kCases[] = {
      {"{\"a\": 01}", 9, "a value is expected"},
      {"{\"a\": 1,}", 9, "a key in double quotes"},
      {"{\"a\": \"x\ny\"}", 9, "escape such as \\n"},
      {"{\"a\": tru}", 7, "a value is expected"},
  };
  for (const auto& test : kCases) {
    const Tree tree = read_json(test.text);
    ASSERT_EQ(tree.errors.size(), 1U) << test.text;
    EXPECT_EQ(tree.errors[0].mark.column, test.column) << test.text;
    EXPECT_THAT(tree.errors[0].message, HasSubstr(test.message)) << test.text;
  }
}

// YAML's flow style is more lenient than JSON, and a document that begins with { may be either.
TEST(Json, WhatIsNoJsonMayStillBeYaml) {
  EXPECT_EQ(read_one("{\"a\": 1,}"), "{a=i:1}");
  EXPECT_EQ(read_one("{\"a\": b} # c"), "{a=s:b}");
  EXPECT_THAT(read_one("{\"a\": 1\n"), HasSubstr("not valid JSON"));
  EXPECT_THAT(read_one("{a: 1\n"), HasSubstr("not valid YAML"));
}

TEST(Json, EveryValueHasItsPlace) {
  const Tree tree = read_tree("{\n  \"a\": [\n    1,\n    {\"b\": \"x\"}\n  ]\n}\n");
  ASSERT_TRUE(tree.errors.empty());
  const Node& list = *tree.documents[0]->find("a");
  EXPECT_EQ(list.mark.line, 2U);
  EXPECT_EQ(list.mark.column, 8U);
  EXPECT_EQ(list.key->mark.column, 3U);
  const Node& value = *list.first->next->find("b");
  EXPECT_EQ(value.mark.line, 4U);
  EXPECT_EQ(value.mark.column, 11U);
}

}  // namespace
}  // namespace wherry::manifest
