# libtaut: every source of src/ and kernels/ for this configuration.

file(GLOB_RECURSE taut_sources CONFIGURE_DEPENDS
  "${PROJECT_SOURCE_DIR}/src/*.cpp" "${PROJECT_SOURCE_DIR}/kernels/*.cpp" "${PROJECT_SOURCE_DIR}/kernels/*.cu")
list(FILTER taut_sources EXCLUDE REGEX "/src/ai/")  # the provider clients are a library of their own, without tensors
# <stem>_cuda.cpp and <stem>_cuda.cu belong to a build with CUDA; <stem>_none.cpp stands in for them in one without.
if(TAUT_HAS_CUDA)
  list(FILTER taut_sources EXCLUDE REGEX "_none\\.cpp$")
else()
  list(FILTER taut_sources EXCLUDE REGEX "_cuda\\.cpp$|\\.cu$")
endif()
if(NOT taut_sources)
  message(FATAL_ERROR "No source was found under ${PROJECT_SOURCE_DIR}/src and kernels: the checkout is incomplete.")
endif()

add_library(taut SHARED ${taut_sources})
add_library(taut::taut ALIAS taut)

set_target_properties(taut PROPERTIES
  CXX_VISIBILITY_PRESET hidden
  CUDA_VISIBILITY_PRESET hidden
  VISIBILITY_INLINES_HIDDEN ON
  POSITION_INDEPENDENT_CODE ON
  CXX_EXTENSIONS OFF
  CUDA_EXTENSIONS OFF
  CUDA_STANDARD 20
  CUDA_RUNTIME_LIBRARY Shared
  JOB_POOL_LINK taut_link
  LIBRARY_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/lib"
)
if(NOT SKBUILD)
  # A wheel cannot hold the symbolic links of a versioned library.
  set_target_properties(taut PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
endif()

target_compile_features(taut PUBLIC cxx_std_20)
target_compile_definitions(taut PRIVATE TAUT_BUILDING)
target_include_directories(taut
  PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
    $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/include>
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>
  PRIVATE
    "${PROJECT_SOURCE_DIR}"
    "${PROJECT_SOURCE_DIR}/src"
    "${PROJECT_BINARY_DIR}/private"
)
target_link_libraries(taut PRIVATE
  taut_build_flags
  taut_highway
  nlohmann_json::nlohmann_json
  Threads::Threads
  ${CMAKE_DL_LIBS}
)

if(ZLIB_FOUND)
  target_link_libraries(taut PRIVATE ZLIB::ZLIB)
  target_compile_definitions(taut PRIVATE TAUT_HAS_ZLIB=1)
endif()

# An installed libtaut looks beside itself, and in the folder of the CUDA runtime where the loader would not search it
# by itself.
set(taut_install_rpath "$ORIGIN")
foreach(directory IN ITEMS ${CUDAToolkit_LIBRARY_DIR})
  if(NOT directory IN_LIST CMAKE_CXX_IMPLICIT_LINK_DIRECTORIES)
    list(APPEND taut_install_rpath "${directory}")
  endif()
endforeach()
set_target_properties(taut PROPERTIES INSTALL_RPATH "${taut_install_rpath}")

# The CPU kernels: -O3 with the two relaxations that let loops vectorise and change no result. Never -ffast-math: NaN,
# infinities and the order of sums are part of what Taut promises; nor may the compiler fuse a product and a sum where it
# likes, which would make the tail of a row differ from its middle. Kernels say MulAdd where they mean it.
set(taut_cpu_kernels ${taut_sources})
list(FILTER taut_cpu_kernels INCLUDE REGEX "/kernels/.*_cpu\\.cpp$")
set_property(SOURCE ${taut_cpu_kernels} APPEND PROPERTY COMPILE_OPTIONS
  -fno-math-errno -fno-trapping-math -ffp-contract=off)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # At -O3 g++ takes an array that a loop over a run-time count fills for one that may be empty.
  set_property(SOURCE ${taut_cpu_kernels} APPEND PROPERTY COMPILE_OPTIONS -Wno-maybe-uninitialized)
endif()
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$")
  # The least that Taut runs on, so that Highway builds no set below it. See Note [One build, three instruction sets].
  set_property(SOURCE ${taut_cpu_kernels} APPEND PROPERTY COMPILE_OPTIONS -msse4.2 -maes -mpclmul)
endif()
if(NOT TAUT_SANITIZE AND NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
  set_property(SOURCE ${taut_cpu_kernels} APPEND PROPERTY COMPILE_OPTIONS -O3)
endif()

# A call within the library goes straight to its target, not through the table that would let a program replace it.
set(taut_host_sources ${taut_sources})
list(FILTER taut_host_sources INCLUDE REGEX "/src/.*\\.cpp$")
set_property(SOURCE ${taut_host_sources} APPEND PROPERTY COMPILE_OPTIONS -fno-semantic-interposition)
# What comes from static libraries stays inside: a compiler may link its C++ library statically, and other libraries of
# the process must not meet two of it.
target_link_options(taut PRIVATE -Wl,-Bsymbolic-functions -Wl,--exclude-libs,ALL)

# Silent narrowing is watched where sizes and strides are computed.
set(taut_strict_sources ${taut_sources})
list(FILTER taut_strict_sources INCLUDE REGEX "/(src/(base|core)|kernels/api)/.*\\.cpp$")
set_property(SOURCE ${taut_strict_sources} APPEND PROPERTY COMPILE_OPTIONS -Wconversion)

if(TAUT_HAS_ONEDNN)
  target_link_libraries(taut PRIVATE DNNL::dnnl)
endif()

if(TAUT_HAS_CUDA)
  # Not the static runtime: its 4 KiB of thread-local storage would have to find room in the block that the loader keeps
  # for TAUT_HOT_THREAD_LOCAL.
  target_link_libraries(taut PRIVATE "${CUDA_cudart_LIBRARY}")
  # Only to the sources that read them: the others are compiled as they are without CUDA, and ccache knows them.
  set(taut_cuda_sources ${taut_sources})
  list(FILTER taut_cuda_sources INCLUDE REGEX "_cuda\\.cpp$")
  set(taut_cuda_include_directories ${CUDAToolkit_INCLUDE_DIRS})
  if(TAUT_HAS_CUDNN)
    list(APPEND taut_cuda_include_directories "${TAUT_CUDNN_INCLUDE_DIR}" "${TAUT_CUDNN_FRONTEND_INCLUDE_DIR}")
  endif()
  if(TAUT_HAS_CUPTI)
    list(APPEND taut_cuda_include_directories "${TAUT_CUPTI_INCLUDE_DIR}")
    set_property(SOURCE "${PROJECT_SOURCE_DIR}/src/profiler/cupti_cuda.cpp" APPEND PROPERTY
      COMPILE_DEFINITIONS TAUT_HAS_CUPTI=1)
  endif()
  if(TAUT_HAS_NCCL)
    list(APPEND taut_cuda_include_directories "${TAUT_NCCL_INCLUDE_DIR}")
  endif()
  list(REMOVE_DUPLICATES taut_cuda_include_directories)
  foreach(directory IN LISTS taut_cuda_include_directories)
    if(NOT directory IN_LIST CMAKE_CXX_IMPLICIT_INCLUDE_DIRECTORIES)
      set_property(SOURCE ${taut_cuda_sources} APPEND PROPERTY COMPILE_OPTIONS "-isystem${directory}")
    endif()
  endforeach()
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # g++ 12 takes cudnn-frontend's vectors of a rank for ones of a negative size.
    set(taut_cudnn_sources ${taut_cuda_sources})
    list(FILTER taut_cudnn_sources INCLUDE REGEX "/(cudnn/|cudnn_)")
    set_property(SOURCE ${taut_cudnn_sources} APPEND PROPERTY COMPILE_OPTIONS -Wno-stringop-overflow -Wno-array-bounds)
  endif()
  # The host half of a .cu file passes through nvcc's rewriting, which -Wshadow does not like.
  set(taut_cuda_options -Xcompiler=-Wall,-Wextra --expt-relaxed-constexpr)
  if(TAUT_WERROR)
    list(APPEND taut_cuda_options -Werror=all-warnings)
  endif()
  if(CMAKE_CUDA_COMPILER_VERSION VERSION_GREATER_EQUAL 12.8)
    list(APPEND taut_cuda_options --compress-mode=size)  # a third of the size for a few percent of the time
  endif()
  target_compile_options(taut PRIVATE "$<$<COMPILE_LANGUAGE:CUDA>:${taut_cuda_options}>")
endif()
