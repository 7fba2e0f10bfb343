list(APPEND deps nlohmann_json::nlohmann_json GTest::gtest)
add_compile_definitions(WHERRY_BIN="${CMAKE_BINARY_DIR}/bin")
set_source_files_properties(${CMAKE_CURRENT_LIST_DIR}/examples_test.cpp PROPERTIES
  COMPILE_DEFINITIONS WHERRY_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
set(timeout 1200)
