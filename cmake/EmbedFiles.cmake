# What scripts that turn files into a header of a target have in common.
#   wherry_embed(<target> <header> <script> <files> <definitions...>)
# At build time the script in cmake/ is run with the definitions (NAME=value) and OUTPUT.

function(wherry_embed target header script files)
  set(output ${CMAKE_CURRENT_BINARY_DIR}/generated/${header})
  set(script ${CMAKE_SOURCE_DIR}/cmake/${script})
  list(TRANSFORM ARGN PREPEND -D OUTPUT_VARIABLE definitions)
  add_custom_command(OUTPUT ${output}
    COMMAND ${CMAKE_COMMAND} ${definitions} -DOUTPUT=${output} -P ${script}
    DEPENDS ${files} ${script}
    COMMENT "Embedding files: ${header} of ${target}" VERBATIM)
  target_sources(${target} PRIVATE ${output})
  target_include_directories(${target} PRIVATE ${CMAKE_CURRENT_BINARY_DIR}/generated)
endfunction()
