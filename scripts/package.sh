#!/usr/bin/env bash
# Debian packages, each built in a Debian of its own so that the machine stays as it is and the
# outcome does not depend on it. See docs/development.md.
set -euo pipefail
. scripts/common.sh
need_root "package"

release=bookworm
out=$PWD/build-package
max_package=3000000 max_installed=10000000  # bytes
architectures=() verify= version= jobs=$(nproc)
while [ $# -gt 0 ]; do
  case "$1" in
    amd64 | arm64 | armhf) architectures+=("$1") ;;
    all) architectures=(amd64 arm64 armhf) ;;
    test) exec scripts/package-test.sh "${@:2}" ;;
    --verify) verify=yes ;;
    --version) version=$2; shift ;;
    --jobs) jobs=$2; shift ;;
    *)
      echo "usage: ./dev package [amd64|arm64|armhf|all] [--verify] [--version V] [--jobs N]" >&2
      echo "       ./dev package test" >&2
      exit 2
      ;;
  esac
  shift
done
[ ${#architectures[@]} -gt 0 ] || architectures=("$(dpkg --print-architecture)")
mkdir -p "$out"

# The last commit's: what is built does not depend on when.
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || dpkg-parsechangelog -STimestamp)
export SOURCE_DATE_EPOCH

# make_root ARCH: prints a Debian with everything to build for ARCH on this machine's architecture.
make_root() {
  local arch=$1 native root tools=build-essential,ccache,debhelper,lintian
  native=$(dpkg --print-architecture)
  root=$out/root-$arch-$(sed -n '/^Build-Depends/,/^$/p' debian/control | sha256sum | cut -c1-8)
  echo "$root"
  [ ! -e "$root" ] || return 0
  rm -rf "$out/root-$arch-"*
  echo "making a Debian to build $arch in" >&2
  local all=$native
  [ "$arch" = "$native" ] || { all+=,$arch; tools+=,crossbuild-essential-$arch; }
  # shellcheck disable=SC2016  # for the hook
  mmdebstrap --quiet --mode=root --variant=apt --architectures="$all" --include="$tools" \
    --customize-hook='copy-in debian /' \
    --customize-hook='chroot "$1" sh -c "cd / && DEBIAN_FRONTEND=noninteractive apt-get -qq --yes \
      --no-install-recommends --host-architecture='"$arch"' build-dep ./ >/dev/null && rm -r /debian"' \
    "$release" "$root.new" "${WHERRY_DEBIAN_MIRROR:-http://deb.debian.org/debian}" >&2 || return 1
  mv "$root.new" "$root"
}

# in_root ROOT SOURCE PLACE COMMAND...: with SOURCE at PLACE, without a network.
in_root() {
  local root=$1 source=$2 place=$3
  shift 3
  mkdir -p "$root$place" "$root/ccache" "$out/ccache"
  # shellcheck disable=SC2016  # for the inner shell
  unshare --mount --net --pid --fork --kill-child --propagation private sh -euc '
    mount --rbind /dev "$1/dev"
    mount -t proc proc "$1/proc"
    mount -t tmpfs tmpfs "$1/tmp"
    mount --bind "$2" "$1$3"
    mount --bind "$4" "$1/ccache"
    root=$1 place=$3
    shift 4
    exec chroot "$root" sh -euc '\''cd "$0" && exec "$@"'\'' "$place" "$@"
  ' in_root "$root" "$source" "$place" "$out/ccache" "$@"
}

# copy_source DIRECTORY: what git knows, or would, as it is now.
copy_source() {
  rm -rf "$1"
  mkdir -p "$1"
  git ls-files -z --cached --others --exclude-standard | xargs -0 ls -d 2>/dev/null |
    tar -c -T - | tar -x -C "$1"
  [ -z "$version" ] || sed -i "1s/(.*)/($version)/" "$1/debian/changelog"
  [ -z "$version" ] || sed -i "s/^project(wherry VERSION [0-9.]*/project(wherry VERSION ${version%%[!0-9.]*}/" "$1/CMakeLists.txt"
}

# build ARCH WORK PLACE [NAME=VALUE...]: leaves the packages in WORK.
build() {
  local arch=$1 work=$2 place=$3 root
  shift 3
  root=$(make_root "$arch")
  rm -rf "$work"
  copy_source "$work/wherry"
  if ! in_root "$root" "$work" "$place" env -C wherry SOURCE_DATE_EPOCH="$SOURCE_DATE_EPOCH" \
    CCACHE_DIR=/ccache CCACHE_BASEDIR="$place" CCACHE_NOHASHDIR=1 CCACHE_DEPEND=1 CCACHE_COMPILERCHECK=content \
    LC_ALL=C.UTF-8 DEB_BUILD_OPTIONS=terse "$@" dpkg-buildpackage -b -us -uc -a"$arch" -j"$jobs" >"$work/log" 2>&1; then
    tail -n 40 "$work/log" >&2
    echo "package: $arch does not build; all of it is in $work/log" >&2
    return 1
  fi
  rm -rf "$work/wherry"
}

megabytes() { awk -v bytes="$1" 'BEGIN { printf "%.2f MB", bytes / 1000000 }'; }

# Size, and what it brings beyond the distribution's packages.
state_size() {
  local package=$1 size installed
  size=$(stat -c %s "$package")
  installed=$(dpkg-deb --fsys-tarfile "$package" | tar -t -v | awk '{ sum += $3 } END { print sum + 0 }')
  printf '  package                %10s     <= %s\n' "$(megabytes "$size")" "$(megabytes $max_package)"
  printf '  installed              %10s     <= %s\n' "$(megabytes "$installed")" "$(megabytes $max_installed)"
  [ "$size" -le $max_package ] && [ "$installed" -le $max_installed ]
}

# try_programs ARCH WORK PACKAGE: the programs are of that architecture, start, and read documents.
try_programs() {
  local arch=$1 work=$2 machine emulator=
  case "$arch" in
    amd64) machine="Advanced Micro Devices X86-64" emulator=qemu-x86_64-static ;;
    arm64) machine=AArch64 emulator=qemu-aarch64-static ;;
    armhf) machine=ARM emulator=qemu-arm-static ;;
  esac
  rm -rf "$work/files"
  dpkg-deb -x "$3" "$work/files"
  if readelf -h "$work"/files/usr/{sbin,bin,libexec/wherry}/* | grep "Machine:" | grep -v ": *$machine\$"; then
    echo "package: a program is not for $arch" >&2
    return 1
  fi
  if [ "$arch" = "$(dpkg --print-architecture)" ]; then
    emulator=
  elif emulator=$(command -v $emulator); then
    cp "$emulator" "$work/emulator"
    emulator=./emulator
  else
    echo "  programs                not tried: no QEMU; run: ./dev setup device-test"
    return 0
  fi
  # shellcheck disable=SC2016  # for the inner shell
  if ! in_root "$(make_root "$arch")" "$work" /build/package sh -exc '
    $1 files/usr/sbin/wherryd --version
    $1 files/usr/bin/wherry --help
    echo "device: { id: try }" >files/etc/wherry/wherry.d/try.yaml
    $1 files/usr/sbin/wherryd --config files/etc/wherry/wherry.yaml --check-config
    for sample in files/usr/share/doc/wherry/examples/*.yaml; do $1 files/usr/bin/wherry validate -f "$sample"; done
  ' try "$emulator" >"$work/tried" 2>&1; then
    tail -n 20 "$work/tried" >&2
    echo "package: the programs for $arch do not do what they should" >&2
    return 1
  fi
  echo "  programs                   start${emulator:+ (in QEMU)}"
}

failed=0
for arch in "${architectures[@]}"; do
  work=$out/$arch
  echo "building for $arch, which takes minutes (see $work/log)"
  build "$arch" "$work" /build/package
  package=$(ls "$work"/wherry_*"_$arch.deb")
  cp "$work"/*.deb "$out/"
  echo "$out/$(basename "$package")"
  state_size "$package" || { echo "package: larger than it may be" >&2; failed=1; }
  if in_root "$(make_root "$arch")" "$work" /build/package \
    sh -c 'lintian --allow-root --fail-on error,warning --tag-display-limit 0 ./*.changes'; then
    echo "  lintian                     clean"
  else
    failed=1
  fi
  try_programs "$arch" "$work" "$package" || failed=1
  if [ -n "$verify" ]; then
    # Elsewhere, at another time of another zone, with other rights, and nothing from the cache.
    (umask 027 && TZ=Asia/Kolkata build "$arch" "$out/$arch-again" /srv/somewhere/else/entirely \
      CCACHE_DISABLE=1 TZ=Asia/Kolkata)
    again=$out/$arch-again/$(basename "$package")
    if cmp "$package" "$again"; then
      echo "  built twice             same bytes  $(sha256sum <"$package" | cut -d' ' -f1)"
    else
      echo "package: two builds differ; see diffoscope $package $again" >&2
      failed=1
    fi
  fi
done
exit $failed
