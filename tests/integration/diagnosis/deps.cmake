list(APPEND deps nlohmann_json::nlohmann_json GTest::gtest)
