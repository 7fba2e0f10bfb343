#pragma once
// Builds a Tree from the events of a reader, and keeps every bound: depth, nodes, duplicate keys.

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "agent/manifest/node.h"

namespace wherry::manifest {

// Every call that returns false has recorded a fatal error; the reader must stop.
class TreeBuilder {
 public:
  // `merge_keys`: a plain key "<<" takes over the entries of the mapping that is its value.
  TreeBuilder(Tree& tree, bool merge_keys) : tree_(tree), merge_keys_(merge_keys) {}

  // `plain`: not quoted (only such a "<<" is a merge key).
  [[nodiscard]] bool scalar(Kind kind, std::string_view text, Mark mark, bool plain = false,
                            std::string_view anchor = {});
  [[nodiscard]] bool begin(Kind kind, Mark mark, std::string_view anchor = {});
  [[nodiscard]] bool end();
  [[nodiscard]] bool alias(std::string_view anchor, Mark mark);
  void end_document();
  bool error(std::string message, Mark mark);  // fatal; returns false
  // The same, of the value that comes next, and with its field. What is taken for a tag or an alias
  // may be a password that lacks its quotes: the message must not hold it.
  bool misread(std::string message, Mark mark);

 private:
  using Seen = std::unordered_map<std::string_view, const Node*>;
  struct Frame {
    Node* node = nullptr;
    Node* last = nullptr;
    const Node* key = nullptr;  // waits for its value
    bool merge = false;         // the value that comes is merged
    std::unique_ptr<Seen> seen;
    std::vector<const Node*> merges;
  };

  std::string here() const;  // the field whose value comes next
  bool add(Node* node, bool plain);
  bool add_key(Frame& frame, Node* node, bool plain);
  bool add_merge(Frame& frame, const Node& node);
  bool merge(Frame& frame);
  bool merge_from(Frame& frame, const Node& source);
  bool append(Frame& frame, Node* node);
  bool spend(uint64_t nodes, Mark mark);
  const Node* find_key(const Frame& frame, std::string_view name) const;
  void remember(Frame& frame, const Node& value);

  Tree& tree_;
  const bool merge_keys_;
  std::vector<Frame> frames_;
  std::unordered_map<std::string, const Node*> anchors_;
  const Node* root_ = nullptr;
  uint64_t nodes_ = 0;
};

}  // namespace wherry::manifest
