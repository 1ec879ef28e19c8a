# benchmarks/<folder>/<name>.cpp becomes the program build/<preset>/benchmarks/<folder>_<name>. They are left out of `all`:
# `make bench` builds and runs them.

file(GLOB_RECURSE taut_benchmark_sources CONFIGURE_DEPENDS RELATIVE "${PROJECT_SOURCE_DIR}/benchmarks"
  "${PROJECT_SOURCE_DIR}/benchmarks/*.cpp")
if(NOT TAUT_HAS_CUDA)
  list(FILTER taut_benchmark_sources EXCLUDE REGEX "^gpu/")
endif()
# Those of libtaut_ai stand alone: they measure against libcurl, and need nothing of the others' peers.
set(taut_ai_benchmark_sources ${taut_benchmark_sources})
list(FILTER taut_ai_benchmark_sources INCLUDE REGEX "^ai/")
list(FILTER taut_benchmark_sources EXCLUDE REGEX "^ai/")
add_custom_target(benchmarks)
if(TAUT_HAS_AI)
  foreach(source IN LISTS taut_ai_benchmark_sources)
    string(REGEX REPLACE "\\.cpp$" "" name "${source}")
    string(REPLACE "/" "_" name "${name}")
    add_executable(benchmark_${name} EXCLUDE_FROM_ALL "${PROJECT_SOURCE_DIR}/benchmarks/${source}")
    set_target_properties(benchmark_${name} PROPERTIES
      OUTPUT_NAME ${name} JOB_POOL_LINK taut_link CXX_EXTENSIONS OFF RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/benchmarks")
    target_include_directories(benchmark_${name} PRIVATE "${PROJECT_SOURCE_DIR}")
    target_link_libraries(benchmark_${name} PRIVATE taut::ai taut_build_flags CURL::libcurl Threads::Threads)
    add_dependencies(benchmarks benchmark_${name})
  endforeach()
endif()
if(NOT taut_benchmark_sources)
  return()
endif()
find_package(benchmark QUIET)
if(NOT benchmark_FOUND)
  message(STATUS "Google Benchmark was not found (apt install libbenchmark-dev): the benchmarks are left out")
  return()
endif()
# What products are measured against, in the variant that can be told its number of threads. Debian keeps each variant in
# a folder of its own and hides the choice behind a link, so look for the folder first.
find_package(OpenMP QUIET COMPONENTS CXX)
find_library(TAUT_OPENBLAS_LIBRARY
  NAMES openblas openblaso
  PATH_SUFFIXES openblas-openmp openblas)
find_path(TAUT_OPENBLAS_INCLUDE_DIR
  NAMES cblas.h
  PATH_SUFFIXES ${CMAKE_LIBRARY_ARCHITECTURE}/openblas-openmp openblas-openmp openblas ${CMAKE_LIBRARY_ARCHITECTURE})
mark_as_advanced(TAUT_OPENBLAS_LIBRARY TAUT_OPENBLAS_INCLUDE_DIR)
if(NOT OpenMP_CXX_FOUND OR NOT TAUT_OPENBLAS_LIBRARY OR NOT TAUT_OPENBLAS_INCLUDE_DIR)
  message(STATUS "The peers of the benchmarks were not found (apt install g++ libopenblas-openmp-dev): they are left out")
  return()
endif()
add_library(taut_openblas INTERFACE IMPORTED)
target_link_libraries(taut_openblas INTERFACE "${TAUT_OPENBLAS_LIBRARY}")
target_include_directories(taut_openblas SYSTEM INTERFACE "${TAUT_OPENBLAS_INCLUDE_DIR}")
foreach(source IN LISTS taut_benchmark_sources)
  string(REGEX REPLACE "\\.cpp$" "" name "${source}")
  string(REPLACE "/" "_" name "${name}")
  add_executable(benchmark_${name} EXCLUDE_FROM_ALL "${PROJECT_SOURCE_DIR}/benchmarks/${source}")
  set_target_properties(benchmark_${name} PROPERTIES
    OUTPUT_NAME ${name} JOB_POOL_LINK taut_link CXX_EXTENSIONS OFF RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/benchmarks")
  target_include_directories(benchmark_${name} PRIVATE "${PROJECT_SOURCE_DIR}")
  # OpenBLAS and OpenMP are for what Taut is measured against: a bare product, a plain loop at this machine's best.
  target_link_libraries(benchmark_${name} PRIVATE
    taut::taut taut_build_flags taut_openblas OpenMP::OpenMP_CXX benchmark::benchmark_main benchmark::benchmark)
  target_compile_options(benchmark_${name} PRIVATE -O3 -march=native)
  if(TAUT_HAS_CUDA)
    target_include_directories(benchmark_${name} SYSTEM PRIVATE ${CUDAToolkit_INCLUDE_DIRS})
    target_link_libraries(benchmark_${name} PRIVATE ${CMAKE_DL_LIBS})
  endif()
  add_dependencies(benchmarks benchmark_${name})
endforeach()
