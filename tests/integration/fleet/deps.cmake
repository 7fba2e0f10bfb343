set_source_files_properties(${CMAKE_CURRENT_LIST_DIR}/sample_broker_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/websocket_test.cpp PROPERTIES
  COMPILE_DEFINITIONS WHERRY_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
