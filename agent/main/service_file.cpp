#include "agent/main/service_file.h"

#include <charconv>

#include "base/failpoint.h"
#include "base/files.h"
#include "base/text.h"

namespace wherry {
namespace {

// name, source, address, ports as "80/TCP=30080,…".
constexpr size_t kColumns = 4;

std::string line_of(const ServiceRecord& record) {
  std::string ports;
  for (const auto& [key, port] : record.node_ports) {
    ports += (ports.empty() ? "" : ",") + key + "=" + std::to_string(port);
  }
  return record.name + "\t" + record.source + "\t" + record.address + "\t" + ports + "\n";
}

void read_ports(const std::string& text, ServiceRecord& record) {
  for (const std::string& part : split(text, ',')) {
    const size_t equals = part.find('=');
    if (equals == std::string::npos) continue;
    uint16_t port = 0;
    std::from_chars(part.data() + equals + 1, part.data() + part.size(), port);
    if (port != 0) record.node_ports[part.substr(0, equals)] = port;
  }
}

}  // namespace

Status ServiceFile::save_services(const std::vector<ServiceRecord>& services) {
  std::string text;
  for (const ServiceRecord& record : services) text += line_of(record);
  if (Status ok = failpoint("service.choices.save"); !ok) return ok;
  return write_file_atomic(path_, text, 0600);
}

Result<std::vector<ServiceRecord>> ServiceFile::services() {
  const auto text = read_file(path_);
  if (!text && text.error().code() == Code::NotFound) return std::vector<ServiceRecord>();
  if (!text) return fail(text.error());
  std::vector<ServiceRecord> records;
  for (const std::string& line : split(*text, '\n')) {
    const std::vector<std::string> columns = split(line, '\t');
    if (columns.size() != kColumns || columns[0].empty()) continue;
    records.push_back({columns[0], columns[1], columns[2], {}});
    read_ports(columns[3], records.back());
  }
  return records;
}

}  // namespace wherry
