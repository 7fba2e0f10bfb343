list(APPEND deps nlohmann_json::nlohmann_json GTest::gtest)
add_compile_definitions(WHERRY_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
