// metadata of any object, and the annotations of ours.

#include <vector>

#include "agent/manifest/items.h"
#include "agent/manifest/names.h"
#include "base/text.h"

namespace wherry::manifest {
namespace {

constexpr std::string_view kOurs = "wherry/";

void check_our_annotation(const Cursor& annotation, std::string_view key, bool is_pod) {
  const Field* known = nullptr;
  std::vector<std::string_view> names;
  for (const Field& field : known_annotations()) {
    names.push_back(field.name);
    if (field.name == key) known = &field;
  }
  if (known == nullptr) {
    const std::string near = nearest(key, names);
    return annotation.error("unknown annotation \"" + shown(key) + "\"" +
                            (near.empty() ? "" : "; did you mean \"" + near + "\"?"));
  }
  if (!is_pod) return annotation.error(shown(key) + " belongs on a Pod");
  check_field(annotation, *known);
}

// Annotations from before there were fields. Those of AppArmor still count in Kubernetes, so they
// must not be passed over; those of seccomp do not since 1.27.
void check_old_annotation(const Cursor& annotation, std::string_view key) {
  if (key.starts_with("container.apparmor.security.beta.kubernetes.io/") &&
      annotation.node().text != "unconfined") {
    annotation.error(
        "is not supported by this version: write securityContext.appArmorProfile of the container");
  }
  if (key.starts_with("seccomp.security.alpha.kubernetes.io/") ||
      key.starts_with("container.seccomp.security.alpha.kubernetes.io/")) {
    annotation.warning(
        "is ignored, as in Kubernetes since 1.27: write securityContext.seccompProfile");
  }
}

}  // namespace

std::string read_name_space(const Cursor& object) {
  std::string name = "default";
  object.with("metadata", [&](const Cursor& metadata) {
    const std::string_view given = metadata.string("namespace");
    if (given.empty()) return;
    name = given;
    const std::string_view problem = dns_label_problem(given);
    if (!problem.empty()) metadata.error_at("namespace", std::string(problem));
  });
  return name;
}

void read_metadata(const Cursor& metadata, bool is_pod, std::map<std::string, std::string>& labels,
                   std::map<std::string, std::string>& annotations) {
  metadata.each_string("labels", [&](const Cursor& label) {
    const std::string_view key = label.node().key->text;
    if (const auto problem = label_key_problem(key); !problem.empty()) {
      label.error(std::string(problem));
    } else if (const auto wrong = label_value_problem(label.node().text); !wrong.empty()) {
      label.error(std::string(wrong));
    }
    labels.emplace(key, label.node().text);
  });
  metadata.each_string("annotations", [&](const Cursor& annotation) {
    const std::string_view key = annotation.node().key->text;
    if (key.substr(0, kOurs.size()) == kOurs) {
      check_our_annotation(annotation, key, is_pod);
    } else if (const auto problem = label_key_problem(key); !problem.empty()) {
      annotation.error(std::string(problem));
    }
    if (is_pod) check_old_annotation(annotation, key);
    annotations.emplace(key, annotation.node().text);
  });
}

}  // namespace wherry::manifest
