# What an installation holds and where, in the folders that GNUInstallDirs names:
#   cmake --install build --component wherry [--prefix P] [--strip]
# `ninja product` builds the programs for it and nothing else.
include(GNUInstallDirs)
set(WHERRY_SYSTEMD_DIR ${CMAKE_INSTALL_PREFIX}/lib/systemd/system CACHE PATH "Where systemd's units go")
set(share ${CMAKE_INSTALL_DATADIR})

# wherryd looks for the other two beside itself, and then here (agent/main/CMakeLists.txt).
set(WHERRY_HELPER_DIR ${CMAKE_INSTALL_LIBEXECDIR}/wherry)
file(RELATIVE_PATH WHERRY_HELPERS ${CMAKE_INSTALL_FULL_SBINDIR} ${CMAKE_INSTALL_FULL_LIBEXECDIR}/wherry)
set(WHERRY_PROGRAMS wherryd wherry wherry-logger wherry-pause)

# wherry_place(<folder> files...): files of this repository, as they are.
function(wherry_place folder)
  install(FILES ${ARGN} DESTINATION ${folder} COMPONENT wherry)
endfunction()

macro(wherry_install_product)
  add_custom_target(product DEPENDS ${WHERRY_PROGRAMS})
  install(TARGETS wherryd DESTINATION ${CMAKE_INSTALL_SBINDIR} COMPONENT wherry)
  install(TARGETS wherry DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT wherry)
  install(TARGETS wherry-logger wherry-pause DESTINATION ${WHERRY_HELPER_DIR} COMPONENT wherry)
  # For those who write fleet managers, not for devices.
  install(TARGETS wherry-simulate DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT simulate EXCLUDE_FROM_ALL)

  wherry_place(${CMAKE_INSTALL_FULL_SYSCONFDIR}/wherry configs/wherry.yaml)
  wherry_place(${WHERRY_SYSTEMD_DIR} systemd/wherryd.service)
  install(FILES systemd/sysusers.conf DESTINATION lib/sysusers.d RENAME wherry.conf COMPONENT wherry)
  install(FILES systemd/tmpfiles.conf DESTINATION lib/tmpfiles.d RENAME wherry.conf COMPONENT wherry)

  wherry_place(${CMAKE_INSTALL_MANDIR}/man1 man/wherry.1)
  wherry_place(${CMAKE_INSTALL_MANDIR}/man5 man/wherry.yaml.5)
  wherry_place(${CMAKE_INSTALL_MANDIR}/man8 man/wherryd.8)
  install(FILES configs/completion/wherry.bash RENAME wherry
    DESTINATION ${share}/bash-completion/completions COMPONENT wherry)
  wherry_place(${share}/zsh/vendor-completions configs/completion/_wherry)

  file(GLOB schemas CONFIGURE_DEPENDS configs/*.schema.json)
  wherry_place(${share}/wherry ${schemas} configs/asyncapi.yaml configs/apparmor/wherry-default)
  install(DIRECTORY docs DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT wherry
    PATTERN decisions EXCLUDE PATTERN architecture.md EXCLUDE PATTERN development.md EXCLUDE)
  install(DIRECTORY configs/samples/ DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples COMPONENT wherry)
endmacro()
