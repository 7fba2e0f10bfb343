#!/bin/sh
# Runs a test in network, mount and process namespaces of its own: whatever it starts ends with it,
# whatever it mounts or configures is gone afterwards, and tests beside it do not meet.
set -eu
if [ "$(id -u)" -ne 0 ] || [ -n "${WHERRY_TEST_NO_ISOLATION:-}" ]; then
  exec "$@"
fi
exec unshare --net --mount --pid --fork --kill-child --mount-proc --propagation private sh -eu -c '
  # Shared with the mount namespaces that daemons of the test make, and with nobody outside.
  mount --make-rshared /
  ip link set lo up
  mount -t tmpfs -o mode=755 tmpfs /run
  "$@"
' isolated "$@"
