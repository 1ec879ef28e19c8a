# The modules of the bindings, taut._C and taut._ai, and the package around them.

# An extension module of the package: taut_python_extension(<target> <module> <library> <folder of sources> <headers of pybind11> ...)
function(taut_python_extension target module library folder)
  file(GLOB sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/python/${folder}/*.cpp")
  # NO_EXTRAS: link-time optimisation of the bindings costs a minute and gains nothing; the work is in the libraries.
  pybind11_add_module(${target} MODULE NO_EXTRAS ${sources})
  set_target_properties(${target} PROPERTIES
    OUTPUT_NAME ${module}
    CXX_VISIBILITY_PRESET hidden
    VISIBILITY_INLINES_HIDDEN ON
    CXX_EXTENSIONS OFF
    JOB_POOL_LINK taut_link
    LIBRARY_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/python/taut"
    INSTALL_RPATH "$ORIGIN"
  )
  target_include_directories(${target} PRIVATE "${PROJECT_SOURCE_DIR}/python/${folder}")
  target_link_libraries(${target} PRIVATE taut::${library} taut_build_flags)
  target_link_options(${target} PRIVATE -Wl,--exclude-libs,ALL)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_GREATER_EQUAL 13)
    # From 13 on g++ follows the six places that pybind11 keeps for arguments into calls with more, which go elsewhere.
    target_compile_options(${target} PRIVATE -Wno-array-bounds)
  endif()
  list(TRANSFORM ARGN REPLACE "(.+)" "<pybind11/\\1>" OUTPUT_VARIABLE headers)
  target_precompile_headers(${target} PRIVATE ${headers})
  if(SKBUILD)
    get_target_property(aliased taut::${library} ALIASED_TARGET)
    install(TARGETS ${target} ${aliased} LIBRARY DESTINATION taut COMPONENT python)
  endif()
endfunction()

taut_python_extension(taut_python _C taut src pybind11.h numpy.h stl.h)
# A module of its own, which `import taut` does not load.
if(TAUT_HAS_AI)
  taut_python_extension(taut_ai_python _ai ai ai_src pybind11.h stl.h)
endif()
if(SKBUILD)
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
