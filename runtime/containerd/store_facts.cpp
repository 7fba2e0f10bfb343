#include "runtime/containerd/store_facts.h"

#include <sys/stat.h>

#include "runtime/containerd/convert.h"

namespace wherry::runtime {
namespace {

constexpr const char* kContentType = "io.containerd.content.v1";
constexpr const char* kSnapshotterType = "io.containerd.snapshotter.v1";
constexpr const char* kDefaultRoot = "/var/lib/containerd";

bool is_directory(const std::string& path) {
  struct stat info {};
  return !path.empty() && stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

class ContainerdStoreFacts final : public StoreFacts {
 public:
  explicit ContainerdStoreFacts(Client& client) : client_(client) {}

  // Of the plugins, containerd 1.6 exports both roots, 1.7 only that of its snapshotter; proxy
  // plugins export none. Then the usual neighbours are taken, as far as they exist.
  Result<StorePlaces> places() override {
    const std::string& snapshotter = client_.snapshots().snapshotter();
    rpc::introspection::PluginsRequest request;
    request.add_filters(std::string("type==") + kContentType);
    request.add_filters(std::string("type==") + kSnapshotterType);
    const auto response = client_.transport()->call(rpc::kPlugins, request, {kShort});
    if (!response && response.error().code() != Code::Unimplemented) return fail(response.error());
    StorePlaces places;
    for (int i = 0; response && i < response->plugins_size(); ++i) {
      const auto& plugin = response->plugins(i);
      const auto root = plugin.exports().find("root");
      if (root == plugin.exports().end()) continue;
      if (plugin.type() == kContentType) places.content = root->second;
      if (plugin.type() == kSnapshotterType && plugin.id() == snapshotter) {
        places.snapshots = root->second;
      }
    }
    if (!is_directory(places.content)) {
      places.content = beside(places.snapshots, std::string(kContentType) + ".content");
    }
    if (!is_directory(places.content)) {
      places.content = is_directory(kDefaultRoot) ? kDefaultRoot : "";
    }
    if (!is_directory(places.snapshots)) {
      places.snapshots = beside(places.content, std::string(kSnapshotterType) + "." + snapshotter);
    }
    return places;
  }

  Result<int64_t> ingested(const std::string& ref) override {
    return client_.content().ingested(ref);
  }

  Result<int64_t> unpacked(const std::string& chain_id) override {
    return client_.snapshots().usage(chain_id);
  }

 private:
  // What is called `name` in the directory, or next to it. Where there is none yet, as from 1.7 on
  // before the first content, the place where it will be made: containerd's root, if the directory
  // has its usual name; else the directory itself.
  static std::string beside(const std::string& directory, const std::string& name) {
    const size_t slash = directory.rfind('/');
    if (slash == std::string::npos) return directory;
    for (const std::string& root : {directory, directory.substr(0, slash)}) {
      std::string path = root;
      path.append("/").append(name);
      if (is_directory(path)) return path;
    }
    return directory.compare(slash + 1, 14, "io.containerd.") == 0 ? directory.substr(0, slash)
                                                                   : directory;
  }

  Client& client_;
};

}  // namespace

std::unique_ptr<StoreFacts> make_containerd_store_facts(Client& client) {
  return std::make_unique<ContainerdStoreFacts>(client);
}

}  // namespace wherry::runtime
