# Turns .sql files into a header of string constants. Two uses of one file:
#   include(EmbedSql); wherry_embed_sql(<target> <namespace> <folder>)   adds sql.h to the target
#   cmake -D FOLDER=… -D NAMESPACE=… -D OUTPUT=… -P EmbedSql.cmake       writes it, at build time
# <folder>/name.sql becomes `name`, <folder>/migrations/NNN_*.sql the array `migrations` in order.

include(${CMAKE_CURRENT_LIST_DIR}/EmbedFiles.cmake)

function(wherry_embed_sql target namespace folder)
  file(GLOB inputs CONFIGURE_DEPENDS ${folder}/*.sql ${folder}/migrations/*.sql)
  wherry_embed(${target} sql.h EmbedSql.cmake "${inputs}" FOLDER=${folder} NAMESPACE=${namespace})
endfunction()

if(NOT CMAKE_SCRIPT_MODE_FILE)
  return()
endif()

set(text "#pragma once\n// Generated from ${FOLDER}: change the .sql files instead.\n\n")
string(APPEND text "#include <string_view>\n\nnamespace ${NAMESPACE} {\n\n")
file(GLOB queries ${FOLDER}/*.sql)
foreach(file IN LISTS queries)
  get_filename_component(name ${file} NAME_WE)
  file(READ ${file} sql)
  string(APPEND text "inline constexpr std::string_view ${name} = R\"sql(${sql})sql\";\n")
endforeach()
string(APPEND text "\ninline constexpr std::string_view migrations[] = {\n")
file(GLOB migrations ${FOLDER}/migrations/*.sql)
list(SORT migrations)
set(expected 0)
foreach(file IN LISTS migrations)
  math(EXPR expected "${expected} + 1")
  get_filename_component(name ${file} NAME)
  string(REGEX MATCH "^0*([0-9]+)_" found ${name})
  if(NOT CMAKE_MATCH_1 EQUAL expected)
    message(FATAL_ERROR "${name}: migrations are numbered from 001 without holes")
  endif()
  file(READ ${file} sql)
  string(APPEND text "    R\"sql(${sql})sql\",\n")
endforeach()
string(APPEND text "};\n\n}  // namespace ${NAMESPACE}\n")
file(WRITE ${OUTPUT} "${text}")
