#!/usr/bin/env bash
# Makes the disk of a clean Debian 12 device for QEMU: device-image.sh ARCH PACKAGE DIRECTORY.
# DIRECTORY then holds disk.img, vmlinuz, initrd.img and busybox. They are kept, and made anew when this
# script, the files put into the device, or what the package depends on has changed.
#
# Neither the package nor anything it needs is installed on it, but all of that lies in apt's cache:
# `apt install ./wherry_….deb` finds it there without a network, as from a mirror. What is only recommended is
# not: the package has to do without.
set -euo pipefail
architecture=$1 package=$(readlink -f "$2") directory=$3
files=$PWD/tests/device/root
case "$architecture" in
  amd64 | arm64) ;;
  *) echo "device-image: no image for '$architecture'; choose amd64 or arm64" >&2; exit 2 ;;
esac

made_of() {
  cat "${BASH_SOURCE[0]}"
  (cd "$files" && find . -type f -print -exec cat {} + | LC_ALL=C sort)
  dpkg-deb -f "$package" Pre-Depends Depends | sed 's/([^)]*)//g; s/ //g'
}
key=$(made_of | sha256sum | cut -d' ' -f1)
[ "$(cat "$directory/key" 2>/dev/null)" != "$key" ] || exit 0

mkdir -p "$directory"
rm -f "$directory"/{key,disk.img,vmlinuz,initrd.img,busybox}
root=$directory/root.tmp
rm -rf "$root"

trap 'rm -rf "$root"' EXIT

# foreign COMMAND...: where programs of another architecture run through QEMU. Debian's systemd tells the kernel
# how to start them; elsewhere that is done here, out of everybody's sight and for as long as this takes.
foreign() {
  # shellcheck disable=SC2016  # for the inner shell
  unshare --mount sh -euc 'misc=/proc/sys/fs/binfmt_misc format=qemu-aarch64
    [ -e "$misc/register" ] || mount -t binfmt_misc binfmt_misc "$misc"
    if [ ! -e "$misc/$format" ]; then
      cat "/usr/lib/binfmt.d/$format.conf" >"$misc/register"
      trap "echo -1 >$misc/$format" EXIT
    fi
    "$@"' foreign "$@"
}
run=
[ "$architecture" = "$(dpkg --print-architecture)" ] || run=foreign

echo "making a Debian 12 device for $architecture; minutes, but only once" >&2
mkdir -p "$root"
cp "$package" "$directory/package.deb"
# systemd and its network service, a kernel for virtual machines with AppArmor, and what the test looks with.
# shellcheck disable=SC2016  # $1 is for mmdebstrap's hooks
$run mmdebstrap --quiet --mode=root --variant=minbase --architectures="$architecture" \
  --include="linux-image-cloud-$architecture,systemd-sysv,dbus,udev,kmod,iproute2,procps,ca-certificates,apparmor,curl,sqlite3,busybox-static" \
  --aptopt='Acquire::Check-Valid-Until "false"' --aptopt='APT::Install-Recommends "false"' \
  --essential-hook="cp -r '$files'/. \"\$1\"" \
  --customize-hook='chroot "$1" apt-get clean' \
  --customize-hook="cp '$directory/package.deb' \"\$1/root/package.deb\"" \
  --customize-hook='chroot "$1" apt-get install --yes --download-only /root/package.deb >/dev/null' \
  --customize-hook='rm "$1/root/package.deb"' \
  --skip=cleanup/apt \
  bookworm "$root" "${WHERRY_DEBIAN_MIRROR:-http://deb.debian.org/debian}" >&2
rm "$directory/package.deb"

echo device >"$root/etc/hostname"
printf '127.0.0.1 localhost device\n10.0.2.2 broker.test registry.test\n' >"$root/etc/hosts"
echo 'nameserver 10.0.2.3' >"$root/etc/resolv.conf"
echo '/dev/vda / ext4 errors=remount-ro 0 1' >"$root/etc/fstab"
: >"$root/etc/machine-id"
mkdir -p "$root/var/log/journal"
enable() { mkdir -p "$root/etc/systemd/system/$1.wants" && ln -sf "$2" "$root/etc/systemd/system/$1.wants/"; }
enable multi-user.target /etc/systemd/system/test-shell.service
enable sockets.target /etc/systemd/system/test-data.socket
enable multi-user.target /lib/systemd/system/systemd-networkd.service
# Nothing is done behind the test's back, and nothing waits for a network that may never come.
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer \
  systemd-networkd-wait-online.service; do
  ln -sf /dev/null "$root/etc/systemd/system/$unit"
done

cp "$root"/boot/vmlinuz-* "$directory/vmlinuz"
cp "$root"/boot/initrd.img-* "$directory/initrd.img"
cp "$root/bin/busybox" "$directory/busybox"
truncate -s 4G "$directory/disk.img"
mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 -d "$root" "$directory/disk.img"
echo "$key" >"$directory/key"
