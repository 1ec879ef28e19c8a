# libtaut_ai: the clients of AI providers. No tensor in it, and nothing of libtaut: what it needs of base is compiled in.

if(NOT TAUT_HAS_AI)
  return()
endif()

file(GLOB_RECURSE taut_ai_sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/src/ai/*.cpp")
add_library(taut_ai SHARED ${taut_ai_sources} "${PROJECT_SOURCE_DIR}/src/base/check.cpp")
add_library(taut::ai ALIAS taut_ai)
set_target_properties(taut_ai PROPERTIES
  EXPORT_NAME ai
  CXX_VISIBILITY_PRESET hidden
  VISIBILITY_INLINES_HIDDEN ON
  POSITION_INDEPENDENT_CODE ON
  CXX_EXTENSIONS OFF
  JOB_POOL_LINK taut_link
  LIBRARY_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/lib"
  INSTALL_RPATH "$ORIGIN"
)
if(NOT SKBUILD)
  set_target_properties(taut_ai PROPERTIES
    VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
endif()
target_compile_features(taut_ai PUBLIC cxx_std_20)
target_compile_definitions(taut_ai PRIVATE TAUT_BUILDING)
# GCC leaves the cold halves of some functions empty, and lld's table for unwinding then names two functions at one
# address: an exception that passes the second one ends the program.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(taut_ai PRIVATE -fno-reorder-blocks-and-partition)
endif()
target_include_directories(taut_ai
  PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
    $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/include>
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>
  PRIVATE
    "${PROJECT_SOURCE_DIR}"
    "${PROJECT_SOURCE_DIR}/src"
)
target_link_libraries(taut_ai PRIVATE
  taut_build_flags nlohmann_json::nlohmann_json CURL::libcurl SQLite::SQLite3 Threads::Threads)
# It stays loaded once it is: libcurl allocates by its functions (src/ai/libcurl_memory.cpp).
target_link_options(taut_ai PRIVATE -Wl,-Bsymbolic-functions -Wl,--exclude-libs,ALL -Wl,-z,nodelete)
