# Every outside library, in one place. All come from the distribution.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(ZLIB REQUIRED)
find_package(Protobuf REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(spdlog REQUIRED)
find_package(CLI11 REQUIRED)
find_package(date REQUIRED)  # time zones, which std::chrono of GCC 12 lacks
if(WHERRY_TESTS)
  find_package(GTest REQUIRED)
endif()
pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3)
pkg_check_modules(LIBARCHIVE REQUIRED IMPORTED_TARGET libarchive)
pkg_check_modules(HTTPLIB REQUIRED IMPORTED_TARGET cpp-httplib)
pkg_check_modules(MOSQUITTO REQUIRED IMPORTED_TARGET libmosquitto)  # docs/decisions/0004-mqtt.md
find_library(WSLAY_LIBRARY wslay REQUIRED)  # frames of WebSocket, docs/decisions/0025-secure-link.md
pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd)
pkg_check_modules(PROMETHEUS REQUIRED IMPORTED_TARGET prometheus-cpp-core)  # its text, not its server

# gRPC without TLS: containerd is reached over a unix socket only.
# Statically linked and stripped of unused sections it idles at about 8.7 MiB PSS instead of 13.5.
add_library(wherry_grpc INTERFACE)
if(WHERRY_STATIC_GRPC)
  # Not from pkg-config: Debian's .pc files name a folder without the architecture.
  find_library(GRPC_STATIC NAMES libgrpc++_unsecure.a REQUIRED)
  get_filename_component(GRPC_LIBDIR ${GRPC_STATIC} DIRECTORY)
  file(GLOB ABSL_STATIC ${GRPC_LIBDIR}/libabsl_*.a)
  list(FILTER ABSL_STATIC EXCLUDE REGEX "flags|benchmark|scoped_mock|failure_signal")
  pkg_check_modules(CARES REQUIRED IMPORTED_TARGET libcares)
  pkg_check_modules(RE2 REQUIRED IMPORTED_TARGET re2)
  target_link_libraries(wherry_grpc INTERFACE
    -Wl,--start-group
    ${GRPC_LIBDIR}/libgrpc++_unsecure.a ${GRPC_LIBDIR}/libgrpc_unsecure.a ${GRPC_LIBDIR}/libgpr.a
    ${GRPC_LIBDIR}/libupb.a ${GRPC_LIBDIR}/libaddress_sorting.a ${GRPC_LIBDIR}/libprotobuf-lite.a
    ${ABSL_STATIC}
    -Wl,--end-group
    PkgConfig::CARES PkgConfig::RE2 z Threads::Threads)
else()
  pkg_check_modules(GRPCPP REQUIRED IMPORTED_TARGET grpc++_unsecure)
  target_link_libraries(wherry_grpc INTERFACE PkgConfig::GRPCPP protobuf-lite Threads::Threads)
endif()
