#include "tests/support/openapi.h"

#include <algorithm>
#include <cctype>
#include <stdexcept>

#include "agent/api/openapi.h"
#include "base/text.h"

namespace wherry::test {
namespace {

using nlohmann::json;

// RFC 6901 section 3
std::string escaped(std::string name) {
  replace_all(name, "~", "~0");
  replace_all(name, "/", "~1");
  return name;
}

std::string name_of(const RestAnswered& answer) {
  return answer.method + " " + answer.target + ": " + std::to_string(answer.status);
}

std::vector<std::string> segments_of(const std::string& path) {
  return path == "/" ? std::vector<std::string>() : split(path.substr(1), '/');
}

}  // namespace

OpenApi::OpenApi() : document_(json::parse(openapi_document())) {
  for (const auto& [path, item] : document_.at("paths").items()) {
    for (const auto& [method, content] : item.items()) {
      Operation operation{method, path, {}, {}, &content};
      for (char& c : operation.method) c = static_cast<char>(std::toupper(c));
      for (const json& given : content.value("parameters", json::array())) {
        const json* parameter = given.contains("$ref") ? find(given["$ref"]) : &given;
        if (parameter == nullptr) throw std::runtime_error(given.dump() + " leads nowhere");
        auto& names =
            parameter->at("in") == "path" ? operation.path_parameters : operation.query_parameters;
        names.push_back(parameter->at("name"));
      }
      operations_.push_back(std::move(operation));
    }
  }
}

const json* OpenApi::find(const std::string& ref) const {
  if (!ref.starts_with("#/")) return nullptr;
  const json::json_pointer pointer(ref.substr(1));
  return document_.contains(pointer) ? &document_.at(pointer) : nullptr;
}

const OpenApi::Operation* OpenApi::operation_of(const std::string& method,
                                                const std::string& target) const {
  const std::string wanted = method == "HEAD" ? "GET" : method;
  const std::vector<std::string> path = segments_of(target.substr(0, target.find('?')));
  for (const Operation& operation : operations_) {
    const std::vector<std::string> pattern = segments_of(operation.path);
    if (operation.method == wanted &&
        std::equal(path.begin(), path.end(), pattern.begin(), pattern.end(),
                   [](const std::string& a, const std::string& b) {
                     return a == b || b.starts_with('{');
                   })) {
      return &operation;
    }
  }
  return nullptr;
}

void OpenApi::add(const RestAnswered& answer, SchemaJudge& judge) const {
  constexpr const char* kProblem = "#/components/responses/Problem";
  const json& problem = *find(kProblem);
  const Operation* operation = operation_of(answer.method, answer.target);
  const std::string status = std::to_string(answer.status);
  std::string pointer = kProblem;
  if (operation != nullptr && operation->content->at("responses").contains(status)) {
    const json& response = operation->content->at("responses")[status];
    std::string method = operation->method;
    for (char& c : method) c = static_cast<char>(std::tolower(c));
    pointer = response.value(
        "$ref", "#/paths/" + escaped(operation->path) + "/" + method + "/responses/" + status);
  } else if (!problem.at("x-statuses").contains(status)) {
    judge.complain(name_of(answer) + " is no status of the document");
    return;
  }
  const std::string type = answer.content_type.substr(0, answer.content_type.find(';'));
  const json& content = find(pointer)->at("content");
  if (!content.contains(type)) {
    judge.complain(name_of(answer) + " has another type: " + answer.content_type);
    return;
  }
  if (answer.method == "HEAD" || !type.ends_with("json")) return;
  pointer += "/content/" + escaped(type) + "/schema";
  const std::string schema = "openapi.json" + pointer;
  if (type != "application/x-ndjson") return judge.add(schema, answer.body, name_of(answer));
  for (const std::string& line : split(answer.body, '\n')) {
    if (!line.empty()) judge.add(schema, line, name_of(answer));
  }
}

void OpenApi::add(const std::vector<RestAnswered>& answers, SchemaJudge& judge) const {
  for (const RestAnswered& answer : answers) add(answer, judge);
}

std::vector<std::string> OpenApi::problems(const std::vector<RestAnswered>& answers) const {
  SchemaJudge judge;
  add(answers, judge);
  return judge.problems();
}

}  // namespace wherry::test
