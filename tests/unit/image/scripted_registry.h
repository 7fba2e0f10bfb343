#pragma once
// A registry on loopback that does what the test says, also what no good registry does.

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/image/archives.h"

namespace httplib {
class Server;
struct Request;
struct Response;
}  // namespace httplib

namespace wherry::image_test {

class ScriptedRegistry {
 public:
  ScriptedRegistry();
  ~ScriptedRegistry();
  ScriptedRegistry(const ScriptedRegistry&) = delete;
  ScriptedRegistry& operator=(const ScriptedRegistry&) = delete;

  int port() const { return port_; }
  std::string host() const { return "127.0.0.1:" + std::to_string(port_); }

  // Serves the image as <host>/<name>.
  std::string add(const TestImage& image, const std::string& repository, const std::string& tag);
  void add_blob(const std::string& bytes) { blobs_[digest_of(bytes)] = bytes; }
  void add_manifest(const std::string& repository, const std::string& reference,
                    const std::string& bytes, const std::string& media_type);

  // Asked first, in the server's thread; true: the response is made.
  using Script = std::function<bool(const httplib::Request&, httplib::Response&)>;
  void script(Script script);
  // What a POST is answered with (404 without).
  using PostHandler = std::function<void(const httplib::Request&, httplib::Response&)>;
  void on_post(PostHandler handler);

  struct Seen {
    std::string method, path, range, authorization, ns;
  };
  std::vector<Seen> seen() const;
  int count(const std::string& method, const std::string& path_part) const;

 private:
  static std::string digest_of(const std::string& bytes);
  void serve(const httplib::Request& request, httplib::Response& response);

  struct Document {
    std::string bytes, media_type;
  };
  std::map<std::string, std::string> blobs_;
  std::map<std::string, Document> manifests_;  // by "repository:reference"
  mutable std::mutex mutex_;
  std::vector<Seen> seen_;
  Script script_;
  PostHandler on_post_;
  std::unique_ptr<httplib::Server> server_;
  int port_;
  std::thread thread_;
};

// Answers with the first `keep` bytes of what the request asks for, and hangs up.
void cut_off(const httplib::Request& request, httplib::Response& response, const std::string& blob,
             size_t keep);
// Answers without any regard for ranges.
void send_from_start(httplib::Response& response, const std::string& blob,
                     const std::string& type = "application/octet-stream");
void redirect(httplib::Response& response, const std::string& location);
void refuse(httplib::Response& response, int status, const std::string& header = {},
            const std::string& value = {});

}  // namespace wherry::image_test
