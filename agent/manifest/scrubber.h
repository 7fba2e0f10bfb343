#pragma once
// The last net below what containers say and what leaves the device for a stranger's eyes: what is
// known to be secret is struck out wherever it stands.

#include <string>
#include <string_view>
#include <vector>

namespace wherry {

struct Document;

class Scrubber {
 public:
  // A value shorter than this is a word like any other: striking it out would spoil the rest and
  // hide nothing. Of a value of several lines each line counts.
  static constexpr size_t kShortest = 6;

  void add(std::string_view value);
  // Every value of its Secrets.
  void add_secrets(const Document& document);
  // A registry's credentials as docker keeps them: {"auths":{"host":{"auth":…}}}.
  void add_docker_config(std::string_view json);
  // Of the whole file, where it can be read; a missing one holds no secret.
  void add_file(const std::string& path);

  // Once all are added. Texts are struck out as they stand, as JSON writes them, and in base64.
  std::string scrub(std::string text) const;

 private:
  void add_form(std::string_view form);

  std::vector<std::string> forms_;  // longest first
};

}  // namespace wherry
