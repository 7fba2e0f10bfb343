# Helpers that keep every room's CMakeLists.txt to a few lines.

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()

# Enough to read a backtrace; full debug information doubles the time to compile and link.
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g1 -DNDEBUG")

add_library(wherry_options INTERFACE)
target_include_directories(wherry_options INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(wherry_options INTERFACE
  -Wall -Wextra -Wpedantic -Werror -ffunction-sections -fdata-sections)
if(CMAKE_SIZEOF_VOID_P EQUAL 4)
  target_compile_definitions(wherry_options INTERFACE _FILE_OFFSET_BITS=64)  # files past 2 GiB
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  # Fires inside std::string when optimising (GCC bug 105651).
  target_compile_options(wherry_options INTERFACE -Wno-restrict)
endif()
if(WHERRY_PRECOMPILE)
  target_compile_options(wherry_options INTERFACE -pthread)  # else clang takes no header of a target with it
endif()
target_link_options(wherry_options INTERFACE -Wl,--gc-sections -Wl,--as-needed)
if(WHERRY_SANITIZE)
  target_compile_options(wherry_options INTERFACE
    -fsanitize=${WHERRY_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(wherry_options INTERFACE -fsanitize=${WHERRY_SANITIZE})
endif()

# Headers that most files include, compiled once for a tree (docs/development.md). Never in the tree
# whose binaries are shipped: it shows that every file includes what it uses.
# wherry_precompile(<owner> <headers...>) makes them; wherry_use(<target> <owner>) takes them.
function(wherry_precompile owner)
  if(NOT WHERRY_PRECOMPILE)
    return()
  endif()
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/${owner}.cpp CONTENT "// Holds precompiled headers.\n")
  add_library(${owner} OBJECT ${CMAKE_BINARY_DIR}/${owner}.cpp)
  target_link_libraries(${owner} PRIVATE wherry_options)
  target_precompile_headers(${owner} PRIVATE ${ARGN})
  if(CMAKE_CXX_COMPILER_ID STREQUAL Clang)
    # Without the time in it, ccache knows the same header again.
    target_compile_options(${owner} PRIVATE "SHELL:-Xclang -fno-pch-timestamp")
  endif()
endfunction()
function(wherry_use target owner)
  if(WHERRY_PRECOMPILE)
    target_precompile_headers(${target} REUSE_FROM ${owner})
  endif()
endfunction()

# wherry_library(<name> [PUBLIC deps...] [PRIVATE deps...]): a static library of every .cpp in this folder.
function(wherry_library name)
  cmake_parse_arguments(ARG "" "" "PUBLIC;PRIVATE;SOURCES" ${ARGN})
  if(NOT ARG_SOURCES)
    file(GLOB ARG_SOURCES CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  endif()
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC wherry_options ${ARG_PUBLIC} PRIVATE ${ARG_PRIVATE})
  wherry_use(${name} wherry_headers)
endfunction()

# wherry_test(<name> LABEL <suite> SOURCES ... DEPS ...): one GoogleTest binary, one ctest entry.
# Suites: unit, contract (fake and real adapters), integration (real daemons), bench, fuzz.
function(wherry_test name)
  cmake_parse_arguments(ARG "NO_GTEST_MAIN" "LABEL;TIMEOUT" "SOURCES;DEPS" ${ARGN})
  if(NOT ARG_SOURCES)
    file(GLOB ARG_SOURCES CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 900)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE wherry_options ${ARG_DEPS} GTest::gmock GTest::gtest)
  if(NOT ARG_NO_GTEST_MAIN)
    target_link_libraries(${name} PRIVATE GTest::gtest_main)
  endif()
  wherry_use(${name} wherry_test_headers)
  # Optimising a test takes longer than running it does; what it tests is optimised all the same.
  target_compile_options(${name} PRIVATE $<$<CONFIG:RelWithDebInfo>:-O0>)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  # All binaries of a suite as one target: unit_suite, contract_suite, integration_suite.
  if(NOT TARGET ${ARG_LABEL}_suite)
    add_custom_target(${ARG_LABEL}_suite)
  endif()
  add_dependencies(${ARG_LABEL}_suite ${name})
  if(ARG_LABEL STREQUAL "unit")
    add_test(NAME ${name} COMMAND ${name})
  else()
    add_test(NAME ${name} COMMAND ${CMAKE_SOURCE_DIR}/scripts/isolate.sh $<TARGET_FILE:${name}>)
  endif()
  set_tests_properties(${name} PROPERTIES LABELS ${ARG_LABEL} TIMEOUT ${ARG_TIMEOUT})
  if(WHERRY_SANITIZE MATCHES "thread")
    set_property(TEST ${name} APPEND PROPERTY
      ENVIRONMENT "TSAN_OPTIONS=suppressions=${CMAKE_SOURCE_DIR}/tests/tsan.supp")
  endif()
endfunction()
