# cmake --install: headers, libtaut and libtaut_ai, the CMake package (find_package(taut)), taut.pc and taut-ai.pc.

include(CMakePackageConfigHelpers)

set(taut_package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/taut")

install(TARGETS taut EXPORT taut-targets COMPONENT library
  LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT library NAMELINK_COMPONENT library)
set(taut_absent_headers)
if(TAUT_HAS_AI)
  install(TARGETS taut_ai EXPORT taut-targets COMPONENT library
    LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT library NAMELINK_COMPONENT library)
else()
  set(taut_absent_headers PATTERN "ai" EXCLUDE)
endif()
install(DIRECTORY include/ "${PROJECT_BINARY_DIR}/include/" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
  COMPONENT library FILES_MATCHING PATTERN "*.h" PATTERN "*.def" PATTERN "*.inl" ${taut_absent_headers})
install(EXPORT taut-targets NAMESPACE taut:: DESTINATION "${taut_package_dir}" COMPONENT library)
configure_package_config_file(cmake/templates/taut-config.cmake.in "${PROJECT_BINARY_DIR}/taut-config.cmake"
  INSTALL_DESTINATION "${taut_package_dir}")
# Before 1.0 a minor version may change the interface.
write_basic_package_version_file("${PROJECT_BINARY_DIR}/taut-config-version.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/taut-config.cmake" "${PROJECT_BINARY_DIR}/taut-config-version.cmake"
  DESTINATION "${taut_package_dir}" COMPONENT library)

# Relative to the .pc file, so that an installed tree may be moved.
file(RELATIVE_PATH taut_pc_prefix
  "/prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/prefix")
function(taut_install_pc name library description)
  configure_file(cmake/templates/taut.pc.in "${PROJECT_BINARY_DIR}/${name}.pc" @ONLY)
  install(FILES "${PROJECT_BINARY_DIR}/${name}.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig" COMPONENT library)
endfunction()
taut_install_pc(taut taut "${PROJECT_DESCRIPTION}")
if(TAUT_HAS_AI)
  taut_install_pc(taut-ai taut_ai "The clients of AI providers that come with Taut")
endif()
