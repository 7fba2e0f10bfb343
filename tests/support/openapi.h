#pragma once
// configs/openapi.json as a judge of what the REST interface answers.

#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "tests/support/schema_judge.h"

namespace wherry::test {

struct RestAnswered {
  std::string method, target;  // "GET", "/v1/events?limit=1"
  int status = 0;
  std::string content_type, body;
  auto operator<=>(const RestAnswered&) const = default;
};

class OpenApi {
 public:
  OpenApi();  // the document as it is served

  struct Operation {
    std::string method, path;  // "GET", "/v1/workloads/{name}"
    std::vector<std::string> path_parameters, query_parameters;
    const nlohmann::json* content;  // the operation object
  };
  const std::vector<Operation>& operations() const { return operations_; }
  const nlohmann::json& document() const { return document_; }
  // What "#/a/b" leads to; null where nowhere.
  const nlohmann::json* find(const std::string& ref) const;
  // The operation that a method and target are; null where it is none. HEAD is the GET of its path.
  const Operation* operation_of(const std::string& method, const std::string& target) const;
  // One sentence for each answer that is not as the document says.
  std::vector<std::string> problems(const std::vector<RestAnswered>& answers) const;
  void add(const std::vector<RestAnswered>& answers, SchemaJudge& judge) const;

 private:
  void add(const RestAnswered& answer, SchemaJudge& judge) const;

  const nlohmann::json document_;
  std::vector<Operation> operations_;
};

}  // namespace wherry::test
