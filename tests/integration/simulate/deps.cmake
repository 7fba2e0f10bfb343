list(APPEND deps nlohmann_json::nlohmann_json)
add_compile_definitions(WHERRY_BIN="${CMAKE_BINARY_DIR}/bin")
