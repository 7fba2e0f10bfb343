#!/usr/bin/env bash
# Prints a program that is the containerd of another Debian release: containerd-of.sh RELEASE.
# The release's programs are unpacked once into build-containerd/ and laid over /usr for the daemon and
# what it starts, in a mount namespace of its own; everything else is the machine's.
set -euo pipefail
release=$1
root=$PWD/build-containerd/$release
program=$root.sh

if [ ! -e "$program" ]; then
  rm -rf "$root"
  mkdir -p build-containerd
  # A release in the making is signed for a few days only; a mirror may be older.
  mmdebstrap --quiet --variant=extract --include=containerd,runc \
    --aptopt='Acquire::Check-Valid-Until "false"' \
    "$release" "$root" "${WHERRY_DEBIAN_MIRROR:-http://deb.debian.org/debian}" >&2
  # What a test mounts later, such as network namespaces, reaches the daemon; nothing comes back.
  cat >"$program.new" <<SCRIPT
#!/bin/sh
exec unshare --mount --propagation slave sh -c \\
  'mount --bind "$root/usr" /usr && exec containerd "\$@"' containerd "\$@"
SCRIPT
  chmod 755 "$program.new"
  mv "$program.new" "$program"
fi
echo "$program"
