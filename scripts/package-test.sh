#!/usr/bin/env bash
# Installs, upgrades, downgrades, removes and purges the package in a Debian of its own, with real
# containerd and workloads that must not notice, and without systemd: ./dev package test.
# What the unit's settings take away, the agent has to do without here, too.
set -euo pipefail
. scripts/common.sh
need_root "package test"

out=$PWD/build-package
arch=$(dpkg --print-architecture)
package=$(find "$out" -maxdepth 1 -name "wherry_*_$arch.deb" | sort -V | tail -n 1)
[ -n "$package" ] || { echo "package test: there is no package yet; run: ./dev package" >&2; exit 1; }

# The packages that ours needs, and no more.
root=$out/test-$(dpkg-deb -f "$package" Depends | sha256sum | cut -c1-8)
if [ ! -e "$root" ]; then
  rm -rf "$out"/test-????????{,.new}
  mmdebstrap --quiet --mode=root --variant=apt --include=systemd,iproute2,procps,python3-seccomp \
    --customize-hook="printf '#!/bin/sh\nexit 101\n' >\"\$1/usr/sbin/policy-rc.d\"; chmod 755 \"\$1/usr/sbin/policy-rc.d\"" \
    --customize-hook="DEBIAN_FRONTEND=noninteractive chroot \"\$1\" apt-get -qq --yes --no-install-recommends satisfy \
      '$(dpkg-deb -f "$package" Depends)' >/dev/null" \
    bookworm "$root.new" "${WHERRY_DEBIAN_MIRROR:-http://deb.debian.org/debian}" >&2
  mv "$root.new" "$root"
fi

work=$(mktemp -d "$out/test-work-XXXXXX")
trap 'rm -rf "$work"' EXIT
cp "$package" "$work/old.deb"
# The same again under a newer version.
dpkg-deb -R "$package" "$work/new"
sed -i 's/^Version: .*/&+1/' "$work/new/DEBIAN/control"
dpkg-deb -b "$work/new" "$work/new.deb" >/dev/null
rm -rf "$work/new"
scripts/busybox-image.sh demo.local/web:1.0 "$work/web.tar"
cp scripts/package-test-inside.sh scripts/like-the-unit.py systemd/wherryd.service "$work/"

# A root of its own, as pivot_root(2) is what runc needs; nothing written to it is kept.
# shellcheck disable=SC2016  # for the inner shell
unshare --mount --net --pid --uts --fork --kill-child --propagation private sh -euc '
  mkdir -p "$2/upper" "$2/work" "$2/root"
  mount -t tmpfs tmpfs "$2/upper"
  mkdir "$2/upper/files" "$2/upper/work"
  mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper/files,workdir=$2/upper/work" "$2/root"
  cd "$2/root"
  mkdir -p test
  mount --rbind /dev dev
  mount --rbind /sys sys
  mount -t proc proc proc
  mount -t tmpfs -o mode=755 tmpfs run
  # Images want a file system that overlayfs can lie on.
  mkdir -p var/lib/containerd
  mount -t tmpfs tmpfs var/lib/containerd
  mount --bind "$2" test
  pivot_root . mnt
  umount -l /mnt
  ip link set lo up
  exec chroot . /test/package-test-inside.sh
' package-test "$root" "$work"
