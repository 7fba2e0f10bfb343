#pragma once
// The tree a document becomes: one form for YAML and JSON, every node with its place in the text.
// Private to the manifest room and its tests.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace wherry::manifest {

struct Mark {
  uint32_t line = 0;  // 1-based; 0: unknown
  uint32_t column = 0;
};

// What a value is. Plain YAML scalars are told apart as Kubernetes' own YAML reader does (YAML 1.1:
// yes, no, on and off are booleans), so that a document means the same here.
enum class Kind : uint8_t { Null, Boolean, Integer, Float, String, List, Map };
std::string_view to_string(Kind kind);  // "a string", "a list" …
Kind classify_plain_scalar(std::string_view text);

// Lives in a Tree, which owns everything it points to. Children are a linked list: no allocation
// per container, and an alias can share its target's.
struct Node {
  std::string_view text;        // of a scalar: decoded, as written
  const Node* key = nullptr;    // in a map: the key of this value
  const Node* first = nullptr;  // child
  const Node* next = nullptr;   // sibling
  Mark mark;
  uint32_t count = 0;   // of children
  uint32_t weight = 1;  // nodes below and with this one, aliases expanded
  Kind kind = Kind::Null;
  uint8_t height = 0;  // levels below this one, aliases expanded

  bool is_map() const { return kind == Kind::Map; }
  bool is_list() const { return kind == Kind::List; }
  bool is_null() const { return kind == Kind::Null; }
  bool is_scalar() const { return kind != Kind::Map && kind != Kind::List; }
  const Node* find(std::string_view name) const;  // the value of a map's key, or null

  class Iterator {
   public:
    explicit Iterator(const Node* at) : at_(at) {}
    const Node& operator*() const { return *at_; }
    Iterator& operator++() { return at_ = at_->next, *this; }
    bool operator!=(const Iterator& other) const { return at_ != other.at_; }

   private:
    const Node* at_;
  };
  Iterator begin() const { return Iterator(first); }
  Iterator end() const { return Iterator(nullptr); }
};

// Memory of one tree, given back at once. Addresses stay valid when it is moved.
class Arena {
 public:
  Node* node();
  std::string_view text(std::string_view bytes);

 private:
  char* take(size_t bytes);
  std::vector<std::unique_ptr<char[]>> blocks_;
  std::vector<std::unique_ptr<Node[]>> nodes_;
  size_t node_used_ = 0;
  char* at_ = nullptr;
  size_t left_ = 0;
};

struct TreeError {
  std::string message;
  Mark mark;
  std::string path{};  // of the field, where it is known
};

struct Tree {
  Arena arena;
  std::vector<const Node*> documents;  // one for each YAML document; none where the text is empty
  std::vector<TreeError> errors;       // empty: the tree is whole. No document is used otherwise.
};

inline constexpr int kMaxDepth = 64;
inline constexpr uint32_t kMaxNodes = 200'000;  // aliases expanded
inline constexpr size_t kMaxTreeErrors = 100;

// YAML or JSON, whichever it is. Checks size (kMaxDocumentBytes), UTF-8 and NUL first; bounded in
// depth, nodes and work whatever the input. A key given twice is an error that names both lines.
Tree read_tree(std::string_view text);

// The two readers behind read_tree. The text is valid UTF-8 without NUL.
Tree read_yaml(std::string_view text);
Tree read_json(std::string_view text);

}  // namespace wherry::manifest
