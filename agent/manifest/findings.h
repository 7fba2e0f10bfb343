#pragma once
// Where in a document something is, and the collected errors and warnings. Private to this room.

#include <string>
#include <string_view>
#include <vector>

#include "agent/manifest/document.h"
#include "agent/manifest/node.h"

namespace wherry::manifest {

// A chain on the stack; only turned into text when there is something to say.
class Path {
 public:
  Path() = default;  // the document itself
  Path(const Path& parent, std::string_view key) : parent_(&parent), step_(Step::Key), key_(key) {}
  Path(const Path& parent, size_t index) : parent_(&parent), step_(Step::Index), index_(index) {}

  std::string text() const;  // spec.items[0].metadata.annotations[wherry/depends-on]

 private:
  enum class Step : uint8_t { Root, Key, Index };
  void append_to(std::string& text) const;

  const Path* parent_ = nullptr;
  Step step_ = Step::Root;
  std::string_view key_;
  size_t index_ = 0;
};

// A place kept after the tree is gone, for what only the merge can know.
struct Place {
  std::string path;
  Mark mark;
};

class Findings {
 public:
  static constexpr size_t kMax = 100;  // of each sort; the rest is counted

  void error(std::string path, Mark mark, std::string message);
  void warning(std::string path, Mark mark, std::string message);
  bool full() const { return errors_.size() >= kMax; }
  bool has_errors() const { return !errors_.empty(); }

  // In the order of the text, with a last entry that counts those left out.
  std::vector<Finding> take_errors();
  std::vector<Finding> take_warnings();

 private:
  std::vector<Finding> errors_;
  std::vector<Finding> warnings_;
  size_t more_errors_ = 0;
  size_t more_warnings_ = 0;
};

// At most 64 bytes of what the user wrote, cut between characters, for messages.
std::string shown(std::string_view text);

}  // namespace wherry::manifest
