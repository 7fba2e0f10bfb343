#include "tests/bench/upstream_floor.h"

#include <functional>
#include <mosquitto.h>
#include <stdexcept>

#include <sqlite3.h>

#include "tests/bench/bench_table.h"

namespace wherry::bench {
namespace {

double seconds_since(MonoTime begin) { return ms(SystemClock().now() - begin) / 1000; }

void require(int code, const char* what) {
  if (code != 0) throw std::runtime_error(std::string("floor: ") + what);
}

class Database {
 public:
  explicit Database(const std::string& path) {
    require(sqlite3_open(path.c_str(), &handle_), "cannot open a database");
    run("PRAGMA auto_vacuum=INCREMENTAL; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL");
  }
  ~Database() {
    sqlite3_finalize(statement_);
    sqlite3_close(handle_);
  }
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  void run(const std::string& sql) {
    require(sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr), sql.c_str());
  }
  sqlite3_stmt* prepare(const char* sql) {
    sqlite3_finalize(statement_);
    require(sqlite3_prepare_v2(handle_, sql, -1, &statement_, nullptr), sql);
    return statement_;
  }

 private:
  sqlite3* handle_ = nullptr;
  sqlite3_stmt* statement_ = nullptr;
};

struct Loop {
  Loop() {
    mosquitto_lib_init();
    client = mosquitto_new(nullptr, true, this);
    mosquitto_int_option(client, MOSQ_OPT_TCP_NODELAY, 1);
    mosquitto_connect_callback_set(
        client, [](mosquitto*, void* self, int code) { of(self).connected = code == 0; });
    // For QoS 1: on the PUBACK of this message.
    mosquitto_publish_callback_set(client,
                                   [](mosquitto*, void* self, int) { ++of(self).acknowledged; });
  }
  ~Loop() {
    mosquitto_destroy(client);
    mosquitto_lib_cleanup();
  }
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;
  static Loop& of(void* self) { return *static_cast<Loop*>(self); }

  void connect(int port) {
    require(mosquitto_connect(client, "127.0.0.1", port, 60), "no broker");
    while (!connected) turn();
  }
  void turn() { require(mosquitto_loop(client, 100, 1), "the connection is lost"); }

  // `message`: the next one's payload. `settled`: told how many are acknowledged so far.
  double run(int messages, const std::function<std::string_view()>& message,
             const std::function<void(int)>& settled) {
    const MonoTime begin = SystemClock().now();
    for (int sent = 0; acknowledged < messages;) {
      while (sent < messages && sent - acknowledged < kWindow) {
        const std::string_view payload = message();
        require(mosquitto_publish(client, nullptr, "bench", static_cast<int>(payload.size()),
                                  payload.data(), 1, false),
                "not published");
        ++sent;
      }
      turn();
      settled(acknowledged);
    }
    return messages / seconds_since(begin);
  }

  mosquitto* client = nullptr;
  bool connected = false;
  int acknowledged = 0;
};

}  // namespace

double bare_sqlite(const std::string& path, const std::string& record, int batch, Duration lasts) {
  Database database(path);
  database.run("CREATE TABLE r (n INTEGER PRIMARY KEY, body BLOB)");
  sqlite3_stmt* insert = database.prepare("INSERT INTO r (body) VALUES (?1)");
  const MonoTime begin = SystemClock().now();
  int64_t records = 0;
  while (SystemClock().now() - begin < lasts) {
    database.run("BEGIN");
    for (int i = 0; i < batch; ++i) {
      sqlite3_bind_blob(insert, 1, record.data(), static_cast<int>(record.size()), SQLITE_STATIC);
      sqlite3_step(insert);
      sqlite3_reset(insert);
    }
    database.run("COMMIT");
    records += batch;
  }
  return static_cast<double>(records) / seconds_since(begin);
}

double bare_mqtt(int port, size_t size, int messages) {
  Loop loop;
  loop.connect(port);
  const std::string payload(size, 'x');
  return loop.run(
      messages, [&] { return std::string_view(payload); }, [](int) {});
}

double durable_mqtt(int port, const std::string& path, size_t size, int messages) {
  constexpr int kTogether = 32;
  Database database(path);
  database.run(
      "PRAGMA secure_delete=FAST; PRAGMA cache_size=-256; PRAGMA synchronous=NORMAL;"
      "CREATE TABLE q (n INTEGER PRIMARY KEY, body BLOB); BEGIN");
  const std::string payload(size, 'x');
  sqlite3_stmt* insert = database.prepare("INSERT INTO q (body) VALUES (?1)");
  for (int i = 0; i < messages; ++i) {
    sqlite3_bind_blob(insert, 1, payload.data(), static_cast<int>(size), SQLITE_STATIC);
    sqlite3_step(insert);
    sqlite3_reset(insert);
  }
  database.run("COMMIT");
  sqlite3_stmt* select = database.prepare("SELECT body FROM q WHERE n = ?1");
  Loop loop;
  loop.connect(port);
  int next = 1, removed = 0;
  return loop.run(
      messages,
      [&] {
        sqlite3_reset(select);
        sqlite3_bind_int(select, 1, next++);
        sqlite3_step(select);
        return std::string_view(static_cast<const char*>(sqlite3_column_blob(select, 0)),
                                static_cast<size_t>(sqlite3_column_bytes(select, 0)));
      },
      [&](int acknowledged) {
        if (acknowledged - removed < kTogether) return;
        sqlite3_reset(select);
        database.run("DELETE FROM q WHERE n <= " + std::to_string(acknowledged));
        removed = acknowledged;
      });
}

}  // namespace wherry::bench
