#include <algorithm>
#include <array>
#include <set>
#include <string_view>

#include "base/text.h"
#include "runtime/network/host_footprint.h"

namespace wherry::runtime {
namespace {

// The names are portmap's.
constexpr std::string_view kDnat = "CNI-HOSTPORT-DNAT";
constexpr std::array<std::string_view, 3> kShared = {kDnat, "CNI-HOSTPORT-SETMARK",
                                                     "CNI-HOSTPORT-MASQ"};

struct Rule {
  std::string_view chain;
  std::string_view target;
  std::string_view text;  // all after "-A "
};

std::string_view first_word(std::string_view text) { return text.substr(0, text.find(' ')); }

bool parse_rule(std::string_view line, Rule& rule) {
  if (!line.starts_with("-A ")) return false;
  rule.text = line.substr(3);
  rule.chain = first_word(rule.text);
  const size_t jump = rule.text.rfind(" -j ");
  rule.target = jump == std::string_view::npos ? "" : first_word(rule.text.substr(jump + 4));
  return true;
}

bool is_shared(std::string_view chain) {
  return std::find(kShared.begin(), kShared.end(), chain) != kShared.end();
}

bool is_chain_of_cni(std::string_view chain) {
  return chain.starts_with("CNI-") && !is_shared(chain);
}

struct Plan {
  std::string rules;              // -D …
  std::set<std::string> flushed;  // chains to empty and delete
};

// Rules that name a container of ours in their comment, and the chains they lead to.
void plan_containers(const std::vector<Rule>& rules, const std::string& id_suffix, Plan& plan) {
  const std::string mark = id_suffix + "\\\"";
  for (const Rule& rule : rules) {
    if (rule.text.find(mark) == std::string_view::npos) continue;
    if (is_chain_of_cni(rule.target)) plan.flushed.emplace(rule.target);
    if (is_chain_of_cni(rule.chain)) {
      plan.flushed.emplace(rule.chain);
    } else {
      plan.rules += "-D " + std::string(rule.text) + "\n";
    }
  }
}

void plan_shared(const std::vector<Rule>& rules, const std::set<std::string_view>& chains,
                 const std::string& id_suffix, Plan& plan) {
  const std::string mark = id_suffix + "\\\"";
  for (const Rule& rule : rules) {
    const bool foreign = rule.text.find(mark) == std::string_view::npos;
    if (rule.chain == kDnat && foreign) return;  // somebody else's container
  }
  for (const Rule& rule : rules) {
    if (!is_shared(rule.chain) && is_shared(rule.target) && !is_chain_of_cni(rule.chain)) {
      plan.rules += "-D " + std::string(rule.text) + "\n";
    }
  }
  for (const std::string_view chain : kShared) {
    if (chains.contains(chain)) plan.flushed.emplace(chain);
  }
}

}  // namespace

std::string plan_iptables_cleanup(const std::string& saved, const std::string& id_suffix,
                                  bool host_port_chains) {
  const std::vector<std::string> lines = split(saved, '\n');
  std::vector<Rule> rules;
  std::set<std::string_view> chains;
  for (const std::string& line : lines) {
    Rule rule;
    if (parse_rule(line, rule)) rules.push_back(rule);
    if (line.starts_with(":")) chains.insert(first_word(std::string_view(line).substr(1)));
  }
  Plan plan;
  plan_containers(rules, id_suffix, plan);
  if (host_port_chains) plan_shared(rules, chains, id_suffix, plan);
  if (plan.rules.empty() && plan.flushed.empty()) return {};
  std::string text = "*nat\n" + plan.rules;
  for (const std::string& chain : plan.flushed) text += "-F " + chain + "\n";
  for (const std::string& chain : plan.flushed) text += "-X " + chain + "\n";
  return text + "COMMIT\n";
}

}  // namespace wherry::runtime
