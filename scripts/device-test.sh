#!/usr/bin/env bash
# ARCH [CUTS [SEED]]: the package on a whole device in QEMU, without KVM; see docs/device-test.md.
# WHERRY_DEVICE_PACKAGE names a .deb to test instead of the one that ./dev package makes.
set -euo pipefail
. scripts/common.sh

architecture=${1:-} cuts=${2:-20} seed=${3:-$RANDOM}
usage() {
  echo "usage: ./dev device-test amd64|arm64 [CUTS [SEED]]" >&2
  exit 2
}
[[ $# -le 3 && $architecture =~ ^(amd64|arm64)$ && $cuts =~ ^[0-9]+$ && $seed =~ ^[0-9]+$ ]] || usage
need_root "the device test"
if [ -z "${WHERRY_DEVICE_PACKAGE:-}" ]; then
  scripts/package.sh "$architecture"
  WHERRY_DEVICE_PACKAGE=$(ls -t build-package/wherry_*_"$architecture".deb | head -n 1)
fi
build_tree build -- wherry-device-test

directory=$PWD/build/device-test/$architecture
scratch=$directory/scratch
mkdir -p "$directory"
exec 9>"$directory/lock"
flock --nonblock 9 || { echo "device-test: another one for $architecture is running" >&2; exit 1; }
rm -rf "$scratch"
mkdir "$scratch"
running=
ended() {
  [ -z "$running" ] || { kill -KILL "$running" && wait "$running"; } 2>/dev/null || true
  cp "$scratch"/*.log "$directory" 2>/dev/null || true
  rm -rf "$scratch"
}
trap ended EXIT

scripts/device-image.sh "$architecture" "$WHERRY_DEVICE_PACKAGE" "$directory"
# The newer package is the same one with a version that is higher by a hair.
dpkg-deb --raw-extract "$WHERRY_DEVICE_PACKAGE" "$scratch/newer"
sed -i 's/^Version: .*/&+newer/' "$scratch/newer/DEBIAN/control"
dpkg-deb --root-owner-group -Zgzip --build "$scratch/newer" "$scratch/newer.deb" >/dev/null
rm -rf "$scratch/newer"

echo "seed $seed; again with: ./dev device-test $architecture $cuts $seed"
# In namespaces of its own: no other address than loopback can be reached, and whatever was started ends with it.
scripts/isolate.sh build/tests/wherry-device-test "$architecture" "$directory" "$scratch" \
  "$WHERRY_DEVICE_PACKAGE" "$scratch/newer.deb" "$cuts" "$seed" &
running=$!
status=0
wait "$running" || status=$?
running=
exit $status
