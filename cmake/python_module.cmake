# taut._C, the one module of the bindings, and the package around it.

# NO_EXTRAS: link-time optimisation of the bindings costs a minute and gains nothing; the work is in libtaut.
pybind11_add_module(taut_python MODULE NO_EXTRAS ${taut_python_sources})
set_target_properties(taut_python PROPERTIES
  OUTPUT_NAME _C
  CXX_VISIBILITY_PRESET hidden
  VISIBILITY_INLINES_HIDDEN ON
  CXX_EXTENSIONS OFF
  JOB_POOL_LINK taut_link
  LIBRARY_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/python/taut"
  INSTALL_RPATH "$ORIGIN"
)
target_include_directories(taut_python PRIVATE "${PROJECT_SOURCE_DIR}/python/src")
target_link_libraries(taut_python PRIVATE taut::taut taut_build_flags)
target_link_options(taut_python PRIVATE -Wl,--exclude-libs,ALL)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_GREATER_EQUAL 13)
  # From 13 on g++ follows the six places that pybind11 keeps for arguments into calls with more, which go elsewhere.
  target_compile_options(taut_python PRIVATE -Wno-array-bounds)
endif()
target_precompile_headers(taut_python PRIVATE <pybind11/pybind11.h> <pybind11/numpy.h> <pybind11/stl.h>)

if(SKBUILD)
  install(TARGETS taut_python LIBRARY DESTINATION taut COMPONENT python)
  install(TARGETS taut LIBRARY DESTINATION taut COMPONENT python)
  return()
endif()

# The package in the build tree: links to the sources, so that an edit of a .py file needs no build. Then
# PYTHONPATH=build/<preset>/python is all that `import taut` needs.
set(taut_package_dir "${PROJECT_BINARY_DIR}/python/taut")
file(GLOB_RECURSE taut_package_files CONFIGURE_DEPENDS RELATIVE "${PROJECT_SOURCE_DIR}/python/taut"
  "${PROJECT_SOURCE_DIR}/python/taut/*.py" "${PROJECT_SOURCE_DIR}/python/taut/*.pyi" "${PROJECT_SOURCE_DIR}/python/taut/py.typed")
file(GLOB_RECURSE taut_package_links RELATIVE "${taut_package_dir}"
  "${taut_package_dir}/*.py" "${taut_package_dir}/*.pyi")
foreach(file IN LISTS taut_package_links)
  if(NOT EXISTS "${taut_package_dir}/${file}")  # its source is gone
    file(REMOVE "${taut_package_dir}/${file}")
  endif()
endforeach()
foreach(file IN LISTS taut_package_files)
  get_filename_component(directory "${taut_package_dir}/${file}" DIRECTORY)
  file(MAKE_DIRECTORY "${directory}")
  file(CREATE_LINK "${PROJECT_SOURCE_DIR}/python/taut/${file}" "${taut_package_dir}/${file}" SYMBOLIC)
endforeach()
