# A recipe to start from, as Yocto 5.0 (scarthgap) wants them: copy it into a layer, and give SRC_URI the place of the
# sources. Needs the layers meta-oe, meta-networking and meta-virtualization, and those that they need. No layer of
# these has wslay, cpp-httplib, tl-expected, prometheus-cpp (core only) and date (with USE_SYSTEM_TZ_DB), and
# tomlplusplus is there only since 5.2; their builds are CMake's or meson's own. Not built by this project's tests.
SUMMARY = "Runs Kubernetes Pods on a device without a cluster, driven over MQTT"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://LICENSE;md5=3b83ef96387f14655fc854ddc3c6bd57"

SRC_URI = "git://example.org/wherry.git;protocol=https;branch=main"
SRCREV = "${AUTOREV}"
S = "${WORKDIR}/git"

# protoc runs on the machine that builds.
DEPENDS = "protobuf-native protobuf grpc mosquitto wslay openssl zlib zstd sqlite3 libarchive yaml-cpp libyaml \
    spdlog fmt cli11 nlohmann-json cpp-httplib tomlplusplus tl-expected prometheus-cpp date"

inherit cmake pkgconfig systemd useradd

EXTRA_OECMAKE = "-DWHERRY_TESTS=OFF -DWHERRY_BENCH=OFF -DWHERRY_STATIC_GRPC=OFF \
    -DWHERRY_SYSTEMD_DIR=${systemd_system_unitdir}"
OECMAKE_TARGET_COMPILE = "product"

do_install() {
    DESTDIR='${D}' cmake --install '${B}' --component wherry
    # Where meta-virtualization has the CNI plugins.
    install -d '${D}${sysconfdir}/wherry/wherry.d'
    echo 'network: { cni_bin_dir: ${libexecdir}/cni }' > '${D}${sysconfdir}/wherry/wherry.d/00-yocto.yaml'
}

USERADD_PACKAGES = "${PN}"
GROUPADD_PARAM:${PN} = "--system wherry"
SYSTEMD_SERVICE:${PN} = "wherryd.service"
CONFFILES:${PN} = "${sysconfdir}/wherry/wherry.yaml"
FILES:${PN} += "${libexecdir}/wherry ${datadir}/wherry ${nonarch_libdir}/sysusers.d ${nonarch_libdir}/tmpfiles.d \
    ${datadir}/bash-completion ${datadir}/zsh"
RDEPENDS:${PN} = "virtual-containerd virtual-runc cni iptables"
