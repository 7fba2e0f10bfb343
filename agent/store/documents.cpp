#include "agent/store/documents.h"

#include <map>
#include <string_view>
#include <sys/stat.h>
#include <utility>

#include "agent/store/rows.h"
#include "agent/store/same_images.h"
#include "base/digest.h"
#include "sql.h"

namespace wherry::store {
namespace {

std::string checksum_of(const StoredDocument& document) {
  Sha256 hash;
  // Ends mark where one field stops and the next begins; none of these three can hold a zero byte.
  for (const std::string& field :
       {document.source, document.digest, std::to_string(document.revision),
        std::to_string(document.accepted_at.time_since_epoch().count())}) {
    hash.update(field);
    hash.update(std::string_view("\0", 1));
  }
  hash.update(document.payload);
  return hash.finish_hex();
}

struct Row {
  StoredDocument document;
  bool whole = false;
};

Row read_row(const sqlite::Statement& statement) {
  Row row;
  row.document.source = statement.text(0);
  row.document.revision = static_cast<uint64_t>(statement.integer(1));
  row.document.digest = statement.text(2);
  row.document.payload = statement.text(3);
  row.document.accepted_at = statement.time(4);
  row.whole = statement.text(5) == checksum_of(row.document);
  return row;
}

}  // namespace

Status put_document(sqlite::Database& database, const StoredDocument& document) {
  return change(database, sql::put_document, document.source, document.revision, document.digest,
                sqlite::Blob{document.payload}, document.accepted_at, checksum_of(document));
}

Result<std::vector<StoredDocument>> list_superseded(sqlite::Database& database) {
  auto rows = all_rows(database, sql::list_superseded, read_row);
  if (!rows) return fail(rows.error());
  std::vector<StoredDocument> documents;
  for (Row& row : *rows) {
    if (!row.whole) row.document.payload.clear();
    documents.push_back(std::move(row.document));
  }
  return documents;
}

Result<std::vector<StoredDocument>> list_documents(sqlite::Database& database) {
  auto rows = all_rows(database, sql::list_documents, read_row);
  if (!rows) return fail(rows.error());
  std::vector<StoredDocument> documents;
  for (Row& row : *rows) {
    if (!row.whole) {
      return fail(Code::DataLoss,
                  "the document of \"" + row.document.source + "\" is not what was written");
    }
    documents.push_back(std::move(row.document));
  }
  return documents;
}

Salvage salvage(const std::string& path) {
  Salvage found;
  struct stat info {};
  // Opening an empty one would delete the log beside it.
  if (stat(path.c_str(), &info) != 0 || info.st_size == 0) return found;
  Result<sqlite::Database> database =
      sqlite::Database::open(path, SQLITE_OPEN_READWRITE, Duration::zero());
  if (!database || !database->execute(sql::salvage_connection)) return found;
  database->keep_as_is();
  if (const Result<int64_t> last = database->integer(sql::last_event)) found.last_event = *last;
  if (auto same = list_same_images(*database)) found.same_images = *std::move(same);
  Result<sqlite::Statement> list = database->prepare(sql::salvage_documents);
  if (!list) return found;
  std::map<std::string, StoredDocument> newest;
  while (true) {
    const Result<bool> more = list->step();
    if (!more || !*more) break;
    Row row = read_row(*list);
    if (!row.whole) continue;
    StoredDocument& kept = newest[row.document.source];
    // Of the same revision the later one: after the note that the source had been left.
    if (kept.source.empty() || kept.revision <= row.document.revision) {
      kept = std::move(row.document);
    }
  }
  for (auto& [source, document] : newest) found.documents.push_back(std::move(document));
  return found;
}

}  // namespace wherry::store
