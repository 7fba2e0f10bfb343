# A recipe to start from: copy it into a layer, and give SRC_URI the place of the sources. Needs the layers
# meta-oe, meta-networking, meta-filesystems and meta-virtualization. Not built by this project's tests.
SUMMARY = "Runs Kubernetes Pods on a device without a cluster, driven over MQTT"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://LICENSE;md5=3b83ef96387f14655fc854ddc3c6bd57"

SRC_URI = "git://example.org/wherry.git;protocol=https;branch=main"
SRCREV = "${AUTOREV}"
S = "${WORKDIR}/git"

# protoc runs on the machine that builds.
DEPENDS = "protobuf-native protobuf grpc abseil-cpp c-ares re2 mosquitto openssl zlib zstd sqlite3 libarchive \
    yaml-cpp libyaml spdlog fmt cli11 nlohmann-json cpp-httplib tomlplusplus tl-expected prometheus-cpp date"

inherit cmake pkgconfig systemd useradd

EXTRA_OECMAKE = "-DWHERRY_TESTS=OFF -DWHERRY_BENCH=OFF -DWHERRY_STATIC_GRPC=OFF \
    -DWHERRY_SYSTEMD_DIR=${systemd_system_unitdir}"
OECMAKE_TARGET_COMPILE = "product"

do_install() {
    DESTDIR='${D}' cmake --install '${B}' --component wherry
}

USERADD_PACKAGES = "${PN}"
GROUPADD_PARAM:${PN} = "--system wherry"
SYSTEMD_SERVICE:${PN} = "wherryd.service"
CONFFILES:${PN} = "${sysconfdir}/wherry/wherry.yaml"
FILES:${PN} += "${libexecdir}/wherry ${datadir}/wherry ${nonarch_libdir}/sysusers.d ${nonarch_libdir}/tmpfiles.d \
    ${datadir}/bash-completion ${datadir}/zsh"
RDEPENDS:${PN} = "containerd-opencontainers runc-opencontainers cni iptables"
