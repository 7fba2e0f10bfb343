#!/usr/bin/env bash
# Makes an OCI image archive with nothing in it but this machine's static busybox:
# busybox-image.sh NAME ARCHIVE
set -euo pipefail
name=$1 archive=$2
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
blobs=$dir/blobs/sha256
mkdir -p "$blobs" "$dir/rootfs/bin" "$dir/rootfs/www" "$dir/rootfs/tmp"
cp "$(command -v busybox)" "$dir/rootfs/bin/busybox"
for applet in sh httpd cat echo ls ps sleep wget; do ln -s busybox "$dir/rootfs/bin/$applet"; done

put() { # FILE -> digest; stores it as a blob
  local digest
  digest=$(sha256sum "$1" | cut -d' ' -f1)
  mv "$1" "$blobs/$digest"
  echo "$digest"
}
architecture=$(dpkg --print-architecture)
[ "$architecture" = armhf ] && architecture=arm
tar -C "$dir/rootfs" --owner=0 --group=0 -cf "$dir/layer" .
layer=$(put "$dir/layer")
printf '{"architecture":"%s","os":"linux","config":{"Env":["PATH=/bin"],"Cmd":["sh"]},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' \
  "$architecture" "$layer" >"$dir/config"
config=$(put "$dir/config")
layer_size=$(stat -c %s "$blobs/$layer")
config_size=$(stat -c %s "$blobs/$config")
printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:%s","size":%s},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"sha256:%s","size":%s}]}' \
  "$config" "$config_size" "$layer" "$layer_size" >"$dir/manifest"
manifest=$(put "$dir/manifest")
manifest_size=$(stat -c %s "$blobs/$manifest")
printf '{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:%s","size":%s,"annotations":{"io.containerd.image.name":"%s","org.opencontainers.image.ref.name":"%s"}}]}' \
  "$manifest" "$manifest_size" "$name" "${name##*:}" >"$dir/index.json"
printf '{"imageLayoutVersion":"1.0.0"}' >"$dir/oci-layout"
tar -C "$dir" -cf "$archive" oci-layout index.json blobs
