# cmake --install: headers, libtaut, the CMake package (find_package(taut)) and taut.pc.

include(CMakePackageConfigHelpers)

set(taut_package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/taut")

install(TARGETS taut EXPORT taut-targets COMPONENT library
  LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT library NAMELINK_COMPONENT library)
install(DIRECTORY include/ "${PROJECT_BINARY_DIR}/include/" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
  COMPONENT library FILES_MATCHING PATTERN "*.h" PATTERN "*.def" PATTERN "*.inl")
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
configure_file(cmake/templates/taut.pc.in "${PROJECT_BINARY_DIR}/taut.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/taut.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig" COMPONENT library)
