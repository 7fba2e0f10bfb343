// wherry validate: documents checked where they are written, without a daemon.
#include <cstdio>
#include <map>
#include <utility>

#include <nlohmann/json.hpp>

#include "agent/cli/commands.h"
#include "agent/cli/text_width.h"
#include "agent/manifest/objects.h"
#include "agent/signing/jws.h"
#include "base/digest.h"
#include "base/files.h"
#include "base/text.h"

namespace wherry::cli {
namespace {

using Json = nlohmann::ordered_json;

struct Checked {
  std::string file;
  bool envelope = false;  // for the fleet; else plain objects for manifests.d
  Document document;
  bool is_signed = false;  // a JWS: the document is its payload, as are lines and columns
  std::string kid{};       // of the key that it says signed it
};

// Keys are on devices: who writes documents is told what they say, whether or not they are
// believed.
Checked parse_signed(const std::string& file, const std::string& text) {
  Checked checked{file, true, {}, true};
  auto content = read_jws(text, kMaxDocumentBytes);
  if (content) {
    checked.document = parse_desired_state(content->payload);
    checked.kid = std::move(content->kid);
  } else {
    checked.document.errors = {{"", content.error().full()}};
  }
  checked.document.digest = sha256_digest(text);
  return checked;
}

Checked parse(const std::string& file, const std::string& text) {
  if (is_signed(text)) return parse_signed(file, text);
  const bool envelope = text.find("DesiredState") != std::string::npos;
  return {file, envelope, envelope ? parse_desired_state(text) : parse_local_manifest(text, "")};
}

// What can only be known of all documents at once.
struct Together {
  std::vector<std::pair<std::string, Finding>> errors, warnings;  // with the file each is in
  std::vector<std::string> workloads;
};

// merge() names the source in front of the path.
std::pair<std::string, Finding> take_apart(Finding finding, const std::vector<Checked>& all) {
  for (const Checked& one : all) {
    const std::string prefix = one.file + ":";
    if (finding.path.compare(0, prefix.size(), prefix) != 0) continue;
    finding.path.erase(0, prefix.size());
    return {one.file, std::move(finding)};
  }
  return {all.back().file, std::move(finding)};
}

Together check_together(const std::vector<Checked>& all) {
  Together together;
  std::vector<Source> sources;
  for (const Checked& one : all) {
    if (!one.document.valid()) return together;
    sources.push_back({one.file, &one.document});
  }
  DeviceFacts facts;
  facts.any = true;
  Merged merged = merge(sources, facts);
  for (Finding& error : merged.errors) {
    together.errors.push_back(take_apart(std::move(error), all));
  }
  for (Finding& warning : merged.warnings) {
    together.warnings.push_back(take_apart(std::move(warning), all));
  }
  ObjectsOfFiles objects;
  for (const Checked& one : all) {
    // Documents for the fleet may be of different sources, of which one is meant to come after
    // another.
    if (one.envelope) continue;
    for (Finding& warning : objects.add(one.file, one.document)) {
      together.warnings.emplace_back(one.file, std::move(warning));
    }
  }
  for (const WorkloadSpec& workload : merged.workloads) {
    together.workloads.push_back(workload.name());
  }
  return together;
}

std::string place(const std::string& file, const Finding& finding) {
  std::string text = file == "-" ? "<stdin>" : file;
  if (finding.line > 0) {
    text += ":" + std::to_string(finding.line) + ":" + std::to_string(finding.column);
  }
  return text + ": ";
}

void print_finding(const Session& session, const std::string& where, const std::string& kind,
                   const Finding& finding) {
  const std::string path = finding.path.empty() ? "" : finding.path + ": ";
  std::fprintf(session.io.err, "%s\n", printable(where + kind + path + finding.message).c_str());
}

Json findings_json(const std::vector<Finding>& findings) {
  Json list = Json::array();
  for (const Finding& finding : findings) {
    list.push_back({{"path", finding.path},
                    {"message", finding.message},
                    {"line", finding.line > 0 ? Json(finding.line) : Json(nullptr)},
                    {"column", finding.line > 0 ? Json(finding.column) : Json(nullptr)}});
  }
  return list;
}

Json objects_json(const Document& document) {
  Json list = Json::array();
  for (const ObjectName& object : objects_of(document)) {
    list.push_back({{"kind", object.kind}, {"name", object.name}});
  }
  return list;
}

Json result_json(const std::vector<Checked>& all, const Together& together, bool valid) {
  Json documents = Json::array();
  for (const Checked& one : all) {
    std::vector<Finding> errors = one.document.errors;
    for (const auto& [file, finding] : together.errors) {
      if (file == one.file) errors.push_back(finding);
    }
    std::vector<Finding> warnings = one.document.warnings;
    for (const auto& [file, finding] : together.warnings) {
      if (file == one.file) warnings.push_back(finding);
    }
    documents.push_back({{"file", one.file},
                         {"valid", errors.empty()},
                         {"revision", one.document.revision},
                         {"target", one.document.target},
                         {"digest", one.document.digest},
                         {"objects", objects_json(one.document)},
                         {"errors", findings_json(errors)},
                         {"warnings", findings_json(warnings)}});
    if (one.is_signed) documents.back()["signed"] = {{"kid", one.kid}, {"checked", false}};
  }
  return {{"valid", valid}, {"workloads", together.workloads}, {"documents", std::move(documents)}};
}

void print_findings(const Session& session, const std::vector<Checked>& all,
                    const Together& together) {
  for (const Checked& one : all) {
    if (one.is_signed && !one.kid.empty()) {
      print_finding(session, place(one.file, {}), "",
                    {"",
                     "a signed document (JWS), key \"" + one.kid +
                         "\": what it says is checked, its signature is not",
                     0, 0});
    }
    for (const Finding& finding : one.document.errors) {
      print_finding(session, place(one.file, finding), "", finding);
    }
    for (const Finding& finding : one.document.warnings) {
      print_finding(session, place(one.file, finding), "warning: ", finding);
    }
  }
  for (const auto& [file, finding] : together.errors) {
    print_finding(session, place(file, finding), "", finding);
  }
  for (const auto& [file, finding] : together.warnings) {
    print_finding(session, place(file, finding), "warning: ", finding);
  }
}

// "2 workloads: a, b" where there are some of it.
void add_count(std::vector<std::string>& parts, const std::string& what,
               const std::vector<std::string>& names) {
  if (names.empty()) return;
  const std::string count = std::to_string(names.size()) + " " + what;
  parts.push_back(count + (names.size() == 1 ? ": " : "s: ") + join(names, ", "));
}

// What runs, then whatever else the documents hold; a Pod is its workload.
std::string summary(const std::vector<Checked>& all, const Together& together) {
  std::vector<std::string> files, kinds, parts;
  std::map<std::string, std::vector<std::string>> names;
  for (const Checked& one : all) {
    files.push_back(one.file == "-" ? "<stdin>" : one.file);
    for (const ObjectName& object : objects_of(one.document)) {
      if (object.kind == "Pod") continue;
      if (!names.contains(object.kind)) kinds.push_back(object.kind);
      names[object.kind].push_back(object.name);
    }
  }
  add_count(parts, "workload", together.workloads);
  for (const std::string& kind : kinds) add_count(parts, kind, names[kind]);
  if (parts.empty()) parts.emplace_back("no workloads");
  return printable(join(files, ", ") + ": valid, " + join(parts, "; ")) + "\n";
}

}  // namespace

Result<std::string> read_document(const std::string& file) {
  return read_document(file, kMaxDocumentBytes);
}

Result<std::string> read_document(const std::string& file, size_t most) {
  if (file != "-") {
    auto text = read_file_or_pipe(file, most + 1);
    // Cut a byte behind the limit, it is the parser that says so, with the document's other facts.
    if (!text && text.error().code() == Code::FailedPrecondition) {
      return std::string(most + 1, ' ');
    }
    if (!text) return fail(Code::FailedPrecondition, text.error().full());
    return text;
  }
  std::string text(most + 1, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), stdin));
  return text;
}

int validate(const Session& session, const std::vector<std::string>& files) {
  std::vector<Checked> all;
  for (const std::string& file : files) {
    const auto text = read_document(file, signed_size(kMaxDocumentBytes));
    if (!text) return report(session, text.error());
    all.push_back(parse(file, *text));
  }
  const Together together = check_together(all);
  bool valid = together.errors.empty();
  for (const Checked& one : all) valid = valid && one.document.valid();
  if (session.format != Format::Table) {
    print_data(session, result_json(all, together, valid));
  } else {
    print_findings(session, all, together);
    if (valid) print(session, summary(all, together));
  }
  return valid ? kDone : kInvalid;
}

}  // namespace wherry::cli
