# Turns text files into a header of string constants. Two uses of one file:
#   include(EmbedText); wherry_embed_text(<target> <header> <namespace> <files...>)
#   cmake -D FILES=… -D NAMESPACE=… -D OUTPUT=… -P EmbedText.cmake   writes it, at build time
# configs/a-b.json becomes `a_b_json`.

include(${CMAKE_CURRENT_LIST_DIR}/EmbedFiles.cmake)

function(wherry_embed_text target header namespace)
  string(REPLACE ";" "," files "${ARGN}")  # a list would not survive the command line
  wherry_embed(${target} ${header} EmbedText.cmake "${ARGN}" FILES=${files} NAMESPACE=${namespace})
endfunction()

if(NOT CMAKE_SCRIPT_MODE_FILE)
  return()
endif()

set(header "#pragma once\n// Generated: change the files it is made from instead.\n\n")
string(APPEND header "#include <string_view>\n\nnamespace ${NAMESPACE} {\n\n")
string(REPLACE "," ";" FILES "${FILES}")
foreach(file IN LISTS FILES)
  get_filename_component(name ${file} NAME)
  string(MAKE_C_IDENTIFIER ${name} name)
  file(READ ${file} content)
  string(APPEND header "inline constexpr std::string_view ${name} = R\"text(${content})text\";\n")
endforeach()
string(APPEND header "\n}  // namespace ${NAMESPACE}\n")
file(WRITE ${OUTPUT} "${header}")
