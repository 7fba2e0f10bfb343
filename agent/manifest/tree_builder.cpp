#include "agent/manifest/tree_builder.h"

#include <algorithm>

#include "agent/manifest/findings.h"

namespace wherry::manifest {
namespace {

constexpr uint32_t kSmallMap = 16;  // up to here a scan beats a hash table

std::string at_line(Mark mark) { return "line " + std::to_string(mark.line); }

}  // namespace

bool TreeBuilder::error(std::string message, Mark mark) {
  tree_.errors.push_back({std::move(message), mark});
  return false;
}

bool TreeBuilder::misread(std::string message, Mark mark) {
  tree_.errors.push_back({std::move(message), mark, here()});
  return false;
}

std::string TreeBuilder::here() const {
  std::vector<Path> steps(1);
  steps.reserve(frames_.size() + 1);  // each points to the one before it
  for (const Frame& frame : frames_) {
    if (frame.node->is_list()) {
      steps.emplace_back(steps.back(), size_t{frame.node->count});
    } else if (frame.key != nullptr) {
      steps.emplace_back(steps.back(), frame.key->text);
    }
  }
  return steps.back().text();
}

bool TreeBuilder::spend(uint64_t nodes, Mark mark) {
  nodes_ += nodes;
  if (nodes_ <= kMaxNodes) return true;
  return error("the document has more than " + std::to_string(kMaxNodes) +
                   " values (aliases counted as often as they are used)",
               mark);
}

bool TreeBuilder::scalar(Kind kind, std::string_view text, Mark mark, bool plain,
                         std::string_view anchor) {
  if (text.find('\0') != std::string_view::npos) {
    return error("a value must not contain the NUL character", mark);
  }
  Node* node = tree_.arena.node();
  node->kind = kind;
  node->text = tree_.arena.text(text);
  node->mark = mark;
  if (!anchor.empty()) anchors_[std::string(anchor)] = node;
  return spend(1, mark) && add(node, plain);
}

bool TreeBuilder::begin(Kind kind, Mark mark, std::string_view anchor) {
  if (frames_.size() >= kMaxDepth) {
    return error("nested more than " + std::to_string(kMaxDepth) + " levels deep", mark);
  }
  if (!frames_.empty() && frames_.back().node->is_map() && frames_.back().key == nullptr) {
    return error("a key must be a plain word, not a list or mapping", mark);
  }
  Node* node = tree_.arena.node();
  node->kind = kind;
  node->mark = mark;
  if (!anchor.empty()) anchors_[std::string(anchor)] = node;
  frames_.emplace_back().node = node;
  return spend(1, mark);
}

bool TreeBuilder::end() {
  Frame frame = std::move(frames_.back());
  if (!merge(frame)) return false;
  frames_.pop_back();
  return add(frame.node, false);
}

bool TreeBuilder::alias(std::string_view anchor, Mark mark) {
  const auto found = anchors_.find(std::string(anchor));
  if (found == anchors_.end()) {
    return misread("the alias has no anchor before it; a value that begins with * must be quoted",
                   mark);
  }
  const Node& target = *found->second;
  for (const Frame& frame : frames_) {
    if (frame.node == &target) {
      return misread("the alias contains itself; a value that begins with * must be quoted", mark);
    }
  }
  if (frames_.size() + target.height > kMaxDepth) {
    return error("nested more than " + std::to_string(kMaxDepth) + " levels deep", mark);
  }
  if (!spend(target.weight, mark)) return false;
  Node* node = tree_.arena.node();
  *node = target;
  node->key = nullptr;
  node->next = nullptr;
  node->mark = mark;
  return add(node, false);
}

bool TreeBuilder::add(Node* node, bool plain) {
  if (frames_.empty()) {
    root_ = node;
    return true;
  }
  Frame& frame = frames_.back();
  if (!frame.node->is_map()) return append(frame, node);
  if (frame.key == nullptr) return add_key(frame, node, plain);
  if (frame.merge) return add_merge(frame, *node);
  node->key = frame.key;
  frame.key = nullptr;
  if (const Node* before = find_key(frame, node->key->text)) {
    if (tree_.errors.size() >= kMaxTreeErrors) return false;
    tree_.errors.push_back({"the key \"" + shown(node->key->text) + "\" is given twice, at " +
                                at_line(before->key->mark) + " and at " + at_line(node->key->mark),
                            node->key->mark});
    return true;
  }
  return append(frame, node);
}

bool TreeBuilder::add_key(Frame& frame, Node* node, bool plain) {
  if (!node->is_scalar()) {
    return error("a key must be a plain word, not a list or mapping", node->mark);
  }
  frame.key = node;
  frame.merge = merge_keys_ && plain && node->text == "<<";
  return true;
}

bool TreeBuilder::add_merge(Frame& frame, const Node& node) {
  const auto bad = [&](Mark mark) {
    return error("<< takes an alias of a mapping or a list of them", mark);
  };
  if (node.is_map()) {
    frame.merges.push_back(&node);
  } else if (node.is_list()) {
    for (const Node& item : node) {
      if (!item.is_map()) return bad(item.mark);
      frame.merges.push_back(&item);
    }
  } else {
    return bad(node.mark);
  }
  frame.key = nullptr;
  frame.merge = false;
  return true;
}

// Keys of the mapping itself win; among several merged mappings, the first.
bool TreeBuilder::merge(Frame& frame) {
  for (const Node* source : frame.merges) {
    if (!merge_from(frame, *source)) return false;
  }
  return true;
}

bool TreeBuilder::merge_from(Frame& frame, const Node& source) {
  for (const Node& value : source) {
    if (!spend(value.weight, frame.node->mark)) return false;
    if (find_key(frame, value.key->text) != nullptr) continue;
    Node* copy = tree_.arena.node();
    *copy = value;
    copy->next = nullptr;
    if (!append(frame, copy)) return false;
  }
  return true;
}

bool TreeBuilder::append(Frame& frame, Node* node) {
  (frame.last == nullptr ? frame.node->first : frame.last->next) = node;
  frame.last = node;
  ++frame.node->count;
  frame.node->weight += node->weight;
  frame.node->height = std::max<uint8_t>(frame.node->height, node->height + 1);
  if (frame.node->is_map()) remember(frame, *node);
  if (frames_.size() + frame.node->height <= kMaxDepth + 1U) return true;
  return error("nested more than " + std::to_string(kMaxDepth) + " levels deep", node->mark);
}

const Node* TreeBuilder::find_key(const Frame& frame, std::string_view name) const {
  if (!frame.seen) return frame.node->find(name);
  const auto found = frame.seen->find(name);
  return found == frame.seen->end() ? nullptr : found->second;
}

void TreeBuilder::remember(Frame& frame, const Node& value) {
  if (frame.node->count <= kSmallMap) return;
  if (!frame.seen) {
    frame.seen = std::make_unique<Seen>();
    for (const Node& child : *frame.node) frame.seen->emplace(child.key->text, &child);
  }
  frame.seen->emplace(value.key->text, &value);
}

void TreeBuilder::end_document() {
  if (root_ != nullptr && !root_->is_null()) tree_.documents.push_back(root_);
  root_ = nullptr;
  anchors_.clear();
  frames_.clear();
}

}  // namespace wherry::manifest
