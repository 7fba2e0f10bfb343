list(APPEND deps wherry_containerd nlohmann_json::nlohmann_json
  PkgConfig::LIBARCHIVE PkgConfig::HTTPLIB)
# The registry that misbehaves as told, shared with the unit tests.
list(APPEND sources
  ${CMAKE_SOURCE_DIR}/tests/unit/image/archives.cpp
  ${CMAKE_SOURCE_DIR}/tests/unit/image/scripted_registry.cpp)
