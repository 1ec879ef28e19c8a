# taut._ai, the bindings of libtaut_ai: a module of its own, which `import taut` does not load.

if(NOT TAUT_HAS_AI)
  return()
endif()

file(GLOB taut_ai_python_sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/python/ai_src/*.cpp")
pybind11_add_module(taut_ai_python MODULE NO_EXTRAS ${taut_ai_python_sources})
set_target_properties(taut_ai_python PROPERTIES
  OUTPUT_NAME _ai
  CXX_VISIBILITY_PRESET hidden
  VISIBILITY_INLINES_HIDDEN ON
  CXX_EXTENSIONS OFF
  JOB_POOL_LINK taut_link
  LIBRARY_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/python/taut"
  INSTALL_RPATH "$ORIGIN"
)
target_include_directories(taut_ai_python PRIVATE "${PROJECT_SOURCE_DIR}/python/ai_src")
target_link_libraries(taut_ai_python PRIVATE taut::ai taut_build_flags)
target_link_options(taut_ai_python PRIVATE -Wl,--exclude-libs,ALL)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_GREATER_EQUAL 13)
  # See taut_python.
  target_compile_options(taut_ai_python PRIVATE -Wno-array-bounds)
endif()
target_precompile_headers(taut_ai_python PRIVATE <pybind11/pybind11.h> <pybind11/stl.h>)

if(SKBUILD)
  install(TARGETS taut_ai_python LIBRARY DESTINATION taut COMPONENT python)
  install(TARGETS taut_ai LIBRARY DESTINATION taut COMPONENT python)
endif()
