#!/usr/bin/env bash
# Installs everything that building, testing and the demo need; with device-test, what that needs besides.
# --check only tells whether it is there.
set -euo pipefail

# llvm names the functions in what the sanitizers find, without which tests/tsan.supp matches nothing.
build_packages=(
  g++ clang llvm clang-format clang-tidy cmake ninja-build ccache pkg-config git ca-certificates
  libgrpc++-dev libprotobuf-dev protobuf-compiler protobuf-compiler-grpc
  libmosquitto-dev libwslay-dev libcpp-httplib-dev nlohmann-json3-dev libyaml-cpp-dev libyaml-dev
  libsqlite3-dev libspdlog-dev libcli11-dev libexpected-dev libarchive-dev libtomlplusplus-dev libssl-dev libzstd-dev
  libhowardhinnant-date-dev zlib1g-dev libcrypt-dev prometheus-cpp-dev libgtest-dev libgmock-dev
  mandoc python3 systemd
)
run_packages=(
  containerd runc containernetworking-plugins iptables iproute2 mosquitto mosquitto-clients
  docker-registry skopeo softhsm2 libengine-pkcs11-openssl python3-websockets busybox-static curl jq procps
  openssl python3-jsonschema golang-github-containerd-containerd-dev mmdebstrap tzdata chromium
  chromium-driver zsh
)

# The compiler runtime that fuzzing needs carries clang's version in its name.
case "$(. /etc/os-release && echo "${VERSION_ID:-}")" in
  12) build_packages+=(libclang-rt-14-dev) ;;
  *) build_packages+=(libclang-rt-dev) ;;
esac

check=
for argument in "$@"; do
  case "$argument" in
    --check) check=yes ;;
    device-test) run_packages+=(qemu-system-x86 qemu-system-arm qemu-utils qemu-user-static arch-test e2fsprogs) ;;
    *) echo "usage: ./dev setup [device-test]" >&2; exit 2 ;;
  esac
done

missing=()
for package in "${build_packages[@]}" "${run_packages[@]}"; do
  status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0
[ -z "$check" ] || exit 1

if [ "$(id -u)" -ne 0 ]; then
  echo "dev setup: needs root to install packages; run: sudo ./dev setup" >&2
  exit 1
fi
echo "Installing ${#missing[@]} packages: ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
# Nothing here may start a service: the tests start their own daemons, on their own sockets.
policy=/usr/sbin/policy-rc.d
made_policy=
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
  made_policy=yes
fi
trap '[ -z "$made_policy" ] || rm -f "$policy"' EXIT
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
