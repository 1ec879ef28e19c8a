# The compiler, the linker, ccache, warnings and sanitizers. Nothing here is seen by a project that uses Taut.

if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 12)
  message(FATAL_ERROR
    "Taut needs C++20 as g++ 12 has it; found g++ ${CMAKE_CXX_COMPILER_VERSION}. "
    "Install a newer one (apt install g++-12) and pass -DCMAKE_CXX_COMPILER=g++-12.")
endif()

find_program(TAUT_CCACHE_PROGRAM ccache)
if(TAUT_CCACHE AND TAUT_CCACHE_PROGRAM)
  # A base directory makes one cache serve every build folder and every clone; the sloppiness is what
  # precompiled headers need.
  set(taut_launcher
    "${CMAKE_COMMAND};-E;env;CCACHE_BASEDIR=${PROJECT_SOURCE_DIR};CCACHE_NOHASHDIR=1"
    "CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime;${TAUT_CCACHE_PROGRAM}")
  foreach(language CXX CUDA)
    if(NOT CMAKE_${language}_COMPILER_LAUNCHER)
      set(CMAKE_${language}_COMPILER_LAUNCHER "${taut_launcher}")
    endif()
  endforeach()
endif()

find_program(TAUT_LLD_PROGRAM ld.lld)
mark_as_advanced(TAUT_CCACHE_PROGRAM TAUT_LLD_PROGRAM)

# Links are short but take memory; one at a time leaves the cores to the compilers.
set_property(GLOBAL APPEND PROPERTY JOB_POOLS taut_link=1)

find_package(Threads REQUIRED)

add_library(taut_build_flags INTERFACE)
target_compile_features(taut_build_flags INTERFACE cxx_std_20)

set(taut_warnings -Wall -Wextra -Wshadow)
if(TAUT_WERROR)
  list(APPEND taut_warnings -Werror)
endif()
target_compile_options(taut_build_flags INTERFACE "$<$<COMPILE_LANGUAGE:CXX>:${taut_warnings}>")

if(TAUT_CCACHE AND TAUT_CCACHE_PROGRAM AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # Without it ccache cannot tell what a precompiled header holds, and does not cache its users.
  target_compile_options(taut_build_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-fpch-preprocess>)
endif()

if(TAUT_LLD_PROGRAM)
  target_link_options(taut_build_flags INTERFACE -fuse-ld=lld)
endif()

if(TAUT_SANITIZE)
  target_compile_options(taut_build_flags INTERFACE
    -O1 -g1 -fsanitize=${TAUT_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(taut_build_flags INTERFACE -fsanitize=${TAUT_SANITIZE})
  # One SIMD target: a sanitizer looks for the same mistakes in each, and each costs a compilation.
  target_compile_definitions(taut_build_flags INTERFACE TAUT_ONE_TARGET=1)
  if(TAUT_SANITIZE MATCHES "undefined")
    target_compile_options(taut_build_flags INTERFACE -fno-sanitize-recover=undefined)
  endif()
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # Instrumented code confuses g++'s flow analysis; the other builds keep these warnings.
    target_compile_options(taut_build_flags INTERFACE
      -Wno-maybe-uninitialized -Wno-stringop-overflow -Wno-array-bounds -Wno-tsan)
  endif()
endif()
