# Puts the dashboard's files into a header, as they are and as gzip has them. Two uses of one file:
#   include(EmbedDashboard); wherry_embed_dashboard(<target> <folder>)   adds dashboard_files.h to the target
#   cmake -D FOLDER=… -D OUTPUT=… -P EmbedDashboard.cmake                writes it, at build time
# The scripts of the folder become one, in the order of their names, with a scope of their own.

include(${CMAKE_CURRENT_LIST_DIR}/EmbedFiles.cmake)

function(wherry_embed_dashboard target folder)
  file(GLOB inputs CONFIGURE_DEPENDS ${folder}/*)
  wherry_embed(${target} dashboard_files.h EmbedDashboard.cmake "${inputs}" FOLDER=${folder})
endfunction()

if(NOT CMAKE_SCRIPT_MODE_FILE)
  return()
endif()

# hex_list(<variable> <hex digits>): "0x1f,0x8b,"
function(hex_list variable hex)
  string(REGEX REPLACE "(..)" "0x\\1," hex "${hex}")
  set(${variable} "${hex}" PARENT_SCOPE)
endfunction()

# The header of gzip has the time in it (RFC 1952, section 2.3): zero, so that builds are the same.
function(gzip_hex variable file)
  file(ARCHIVE_CREATE OUTPUT ${file}.gz PATHS ${file} FORMAT raw COMPRESSION GZip COMPRESSION_LEVEL 9)
  file(READ ${file}.gz hex HEX)
  string(SUBSTRING "${hex}" 0 8 begin)
  string(SUBSTRING "${hex}" 16 -1 end)
  set(${variable} "${begin}00000000${end}" PARENT_SCOPE)
endfunction()

set(work ${OUTPUT}.d)
file(MAKE_DIRECTORY ${work})
file(COPY_FILE ${FOLDER}/index.html ${work}/index.html)
file(COPY_FILE ${FOLDER}/style.css ${work}/dashboard.css)
file(COPY_FILE ${FOLDER}/favicon.svg ${work}/favicon.svg)
file(GLOB scripts ${FOLDER}/*.js)
list(SORT scripts)
file(WRITE ${work}/dashboard.js "(() => {\n'use strict';\n\n")
foreach(script IN LISTS scripts)
  file(READ ${script} text)
  file(APPEND ${work}/dashboard.js "${text}\n")
endforeach()
file(APPEND ${work}/dashboard.js "})();\n")

set(arrays)
set(table)
# path below /; name; ending; type
foreach(each "|index|html|text/html" "dashboard.css|dashboard|css|text/css"
    "dashboard.js|dashboard|js|text/javascript" "favicon.svg|favicon|svg|image/svg+xml")
  string(REGEX MATCH "^(.*)[|](.*)[|](.*)[|](.*)$" found ${each})
  set(path "${CMAKE_MATCH_1}")
  set(array ${CMAKE_MATCH_2}_${CMAKE_MATCH_3})
  set(file ${work}/${CMAKE_MATCH_2}.${CMAKE_MATCH_3})
  set(type ${CMAKE_MATCH_4})
  file(SHA256 ${file} digest)
  string(SUBSTRING ${digest} 0 16 digest)
  file(READ ${file} plain HEX)
  hex_list(plain "${plain}")
  gzip_hex(packed ${file})
  hex_list(packed "${packed}")
  string(APPEND arrays "inline constexpr unsigned char ${array}[] = {${plain}};\n"
    "inline constexpr unsigned char ${array}_gz[] = {${packed}};\n")
  string(APPEND table "    {\"${path}\", \"${type}; charset=utf-8\", \"${digest}\", ${array}, ${array}_gz},\n")
endforeach()
file(WRITE ${OUTPUT} "#pragma once
// Generated from ${FOLDER}: change the files there instead.

#include <span>
#include <string_view>

namespace wherry::dashboard {

struct File {
  std::string_view path;  // below /
  std::string_view type, digest;
  std::span<const unsigned char> plain, packed;  // packed: by gzip
};

${arrays}
inline constexpr File files[] = {
${table}};

}  // namespace wherry::dashboard
")
