#include "runtime/containerd/plugins.h"

#include "runtime/containerd/convert.h"

namespace wherry::runtime {

Result<std::vector<Plugin>> list_plugins(Client& client, Duration timeout) {
  const auto response =
      client.transport()->call(rpc::kPlugins, rpc::introspection::PluginsRequest(), {timeout});
  if (!response) return fail(response.error());
  std::vector<Plugin> plugins;
  for (const auto& plugin : response->plugins()) {
    plugins.push_back({plugin.type(), plugin.id(), plugin.init_err().message()});
  }
  return plugins;
}

}  // namespace wherry::runtime
