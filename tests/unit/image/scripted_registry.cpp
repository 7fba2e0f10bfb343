#include "tests/unit/image/scripted_registry.h"

#include <httplib.h>

#include "base/digest.h"

namespace wherry::image_test {

ScriptedRegistry::ScriptedRegistry() : server_(std::make_unique<httplib::Server>()) {
  const auto handler = [this](const httplib::Request& request, httplib::Response& response) {
    serve(request, response);
  };
  server_->Get(".*", handler);
  server_->Post(".*", [this](const httplib::Request& request, httplib::Response& response) {
    PostHandler on_post;
    {
      const std::lock_guard lock(mutex_);
      seen_.push_back({request.method, request.path, "", "", ""});
      on_post = on_post_;
    }
    if (!on_post) return refuse(response, 404);
    on_post(request, response);
  });
  // A connection that is kept alive has a thread to itself.
  server_->new_task_queue = [] { return new httplib::ThreadPool(32); };
  server_->set_keep_alive_max_count(100);
  server_->set_tcp_nodelay(true);
  port_ = server_->bind_to_any_port("127.0.0.1");
  thread_ = std::thread([this] { server_->listen_after_bind(); });
  while (!server_->is_running()) std::this_thread::yield();
}

ScriptedRegistry::~ScriptedRegistry() {
  server_->stop();
  thread_.join();
}

std::string ScriptedRegistry::digest_of(const std::string& bytes) { return sha256_digest(bytes); }

void ScriptedRegistry::add_manifest(const std::string& repository, const std::string& reference,
                                    const std::string& bytes, const std::string& media_type) {
  manifests_[repository + ":" + reference] = {bytes, media_type};
  manifests_[repository + ":" + sha256_digest(bytes)] = {bytes, media_type};
}

std::string ScriptedRegistry::add(const TestImage& image, const std::string& repository,
                                  const std::string& tag) {
  add_manifest(repository, tag, image.manifest, "application/vnd.oci.image.manifest.v1+json");
  add_blob(image.config);
  for (const TestLayer& layer : image.layers) add_blob(layer.blob);
  return host() + "/" + repository + ":" + tag;
}

void ScriptedRegistry::script(Script script) {
  const std::lock_guard lock(mutex_);
  script_ = std::move(script);
}

void ScriptedRegistry::on_post(PostHandler handler) {
  const std::lock_guard lock(mutex_);
  on_post_ = std::move(handler);
}

std::vector<ScriptedRegistry::Seen> ScriptedRegistry::seen() const {
  const std::lock_guard lock(mutex_);
  return seen_;
}

int ScriptedRegistry::count(const std::string& method, const std::string& part) const {
  int count = 0;
  for (const Seen& each : seen()) {
    count += each.method == method && each.path.find(part) != std::string::npos ? 1 : 0;
  }
  return count;
}

void ScriptedRegistry::serve(const httplib::Request& request, httplib::Response& response) {
  Script script;
  {
    const std::lock_guard lock(mutex_);
    seen_.push_back({request.method, request.path, request.get_header_value("Range"),
                     request.get_header_value("Authorization"), request.get_param_value("ns")});
    script = script_;
  }
  if (script && script(request, response)) return;
  const std::string& path = request.path;
  if (const size_t at = path.find("/blobs/"); at != std::string::npos) {
    const auto found = blobs_.find(path.substr(at + 7));
    if (found == blobs_.end()) return refuse(response, 404);
    return response.set_content(found->second, "application/octet-stream");
  }
  const size_t at = path.find("/manifests/");
  if (at == std::string::npos || !path.starts_with("/v2/")) return refuse(response, 404);
  const auto found = manifests_.find(path.substr(4, at - 4) + ":" + path.substr(at + 11));
  if (found == manifests_.end()) return refuse(response, 404);
  response.set_header("Docker-Content-Digest", sha256_digest(found->second.bytes));
  response.set_content(found->second.bytes, found->second.media_type);
}

void cut_off(const httplib::Request& request, httplib::Response& response, const std::string& blob,
             size_t keep) {
  const size_t start = request.ranges.empty()
                           ? 0
                           : static_cast<size_t>(std::max<ssize_t>(0, request.ranges[0].first));
  response.set_content_provider(
      blob.size(), "application/octet-stream",
      [blob, end = start + keep](size_t offset, size_t length, httplib::DataSink& sink) {
        if (offset >= end) return false;
        sink.write(blob.data() + offset, std::min(length, end - offset));
        return true;
      });
}

void send_from_start(httplib::Response& response, const std::string& blob,
                     const std::string& type) {
  response.status = 200;
  response.set_chunked_content_provider(type, [blob](size_t offset, httplib::DataSink& sink) {
    if (offset >= blob.size()) {
      sink.done();
    } else {
      sink.write(blob.data() + offset, std::min<size_t>(4096, blob.size() - offset));
    }
    return true;
  });
}

void redirect(httplib::Response& response, const std::string& location) {
  response.status = 307;
  response.set_header("Location", location);
}

void refuse(httplib::Response& response, int status, const std::string& header,
            const std::string& value) {
  response.status = status;
  if (!header.empty()) response.set_header(header, value);
}

}  // namespace wherry::image_test
