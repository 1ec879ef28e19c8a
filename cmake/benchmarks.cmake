# benchmarks/<folder>/<name>.cpp becomes the program build/<preset>/benchmarks/<folder>_<name>. They are left out of `all`:
# `make bench` builds and runs them.

file(GLOB_RECURSE taut_benchmark_sources CONFIGURE_DEPENDS RELATIVE "${PROJECT_SOURCE_DIR}/benchmarks"
  "${PROJECT_SOURCE_DIR}/benchmarks/*.cpp")
add_custom_target(benchmarks)
if(NOT taut_benchmark_sources)
  return()
endif()
find_package(benchmark QUIET)
if(NOT benchmark_FOUND)
  message(STATUS "Google Benchmark was not found (apt install libbenchmark-dev): the benchmarks are left out")
  return()
endif()
find_package(OpenMP QUIET COMPONENTS CXX)
if(NOT OpenMP_CXX_FOUND)
  message(STATUS "OpenMP was not found, which the peers of the benchmarks run on: the benchmarks are left out")
  return()
endif()
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
  add_dependencies(benchmarks benchmark_${name})
endforeach()
