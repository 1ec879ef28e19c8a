# Finds what Taut stands on. Nothing is downloaded. Every third party stays behind libtaut: none of these targets is
# public, and no installed header names one.
#
# Sets TAUT_HAS_<X> to 0 or 1 for what is optional.

# found: whether the part is there. missing: what to install when an ON option asks for it in vain.
macro(taut_settle name found missing)
  if(TAUT_WITH_${name} STREQUAL "ON" AND NOT (${found}))
    message(FATAL_ERROR "TAUT_WITH_${name} is ON, but it was not found. ${missing}")
  endif()
  if(NOT TAUT_WITH_${name} STREQUAL "OFF" AND (${found}))
    set(TAUT_HAS_${name} 1)
  else()
    set(TAUT_HAS_${name} 0)
  endif()
endmacro()

# ---- Highway ------------------------------------------------------------------------------------
find_path(TAUT_HIGHWAY_INCLUDE_DIR NAMES hwy/highway.h)
find_library(TAUT_HIGHWAY_LIBRARY NAMES hwy)
mark_as_advanced(TAUT_HIGHWAY_INCLUDE_DIR TAUT_HIGHWAY_LIBRARY)
if(NOT TAUT_HIGHWAY_LIBRARY OR NOT TAUT_HIGHWAY_INCLUDE_DIR)
  message(FATAL_ERROR "Highway was not found. Install it (apt install libhwy-dev, or run cmake/setup.sh), or point to "
    "one with -DTAUT_HIGHWAY_LIBRARY=.../libhwy.so -DTAUT_HIGHWAY_INCLUDE_DIR=.../include.")
endif()
add_library(taut_highway INTERFACE IMPORTED)
target_link_libraries(taut_highway INTERFACE "${TAUT_HIGHWAY_LIBRARY}")
target_include_directories(taut_highway SYSTEM INTERFACE "${TAUT_HIGHWAY_INCLUDE_DIR}")
if(TAUT_HIGHWAY_LIBRARY MATCHES "\\.so")
  target_compile_definitions(taut_highway INTERFACE HWY_SHARED_DEFINE)
endif()

# ---- JSON (headers only) ------------------------------------------------------------------------
find_package(nlohmann_json 3.9 QUIET)
if(NOT nlohmann_json_FOUND)
  message(FATAL_ERROR "nlohmann_json was not found. Install it (apt install nlohmann-json3-dev, or run cmake/setup.sh).")
endif()

# ---- zlib: gzipped data files -------------------------------------------------------------------
find_package(ZLIB QUIET)

# ---- CUDA ---------------------------------------------------------------------------------------
set(taut_cuda_found FALSE)
set(taut_cuda_missing "Install the CUDA toolkit, or put its nvcc on PATH, or pass -DCMAKE_CUDA_COMPILER=.../nvcc.")
if(NOT TAUT_WITH_CUDA STREQUAL "OFF" AND TAUT_SANITIZE)
  set(taut_cuda_missing "The sanitizer builds are for the CPU: pass -DTAUT_WITH_CUDA=OFF.")
elseif(NOT TAUT_WITH_CUDA STREQUAL "OFF" AND NOT EXISTS "${PROJECT_SOURCE_DIR}/kernels/table_cuda.cpp")
  set(taut_cuda_missing "This tree has no CUDA kernels (kernels/table_cuda.cpp).")
elseif(NOT TAUT_WITH_CUDA STREQUAL "OFF")
  if(NOT CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX})
    find_program(TAUT_NVCC nvcc HINTS /usr/local/cuda/bin ENV CUDA_PATH PATH_SUFFIXES bin)
    mark_as_advanced(TAUT_NVCC)
    if(TAUT_NVCC)
      set(CMAKE_CUDA_COMPILER "${TAUT_NVCC}" CACHE FILEPATH "The CUDA compiler")
    endif()
  endif()
  # Code for Ampere and Hopper, and PTX of the newest for what comes after; for one's own GPU alone pass one number.
  if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
    set(CMAKE_CUDA_ARCHITECTURES "80-real;90" CACHE STRING "GPU architectures to compile for")
  endif()
  include(CheckLanguage)
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    enable_language(CUDA)
    # CMake learnt in 3.26 that nvcc takes C++20.
    if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
      set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
      set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
    endif()
    find_package(CUDAToolkit QUIET)
    set(taut_cuda_found ${CUDAToolkit_FOUND})
    if(CMAKE_CUDA_COMPILER_VERSION VERSION_LESS 12)
      set(taut_cuda_found FALSE)
      set(taut_cuda_missing "nvcc ${CMAKE_CUDA_COMPILER_VERSION} has no C++20; Taut needs CUDA 12 or newer.")
    endif()
  endif()
endif()
taut_settle(CUDA taut_cuda_found "${taut_cuda_missing}")

# cuDNN, NCCL and CUPTI are opened at first use, so only their headers are needed here.
set(taut_cudnn_found FALSE)
set(taut_cupti_found FALSE)
set(taut_nccl_found FALSE)
if(TAUT_HAS_CUDA)
  find_path(TAUT_CUDNN_INCLUDE_DIR NAMES cudnn.h HINTS ${CUDAToolkit_INCLUDE_DIRS} PATH_SUFFIXES include)
  # Where cmake/setup.sh puts it, from its Python wheel.
  file(GLOB taut_venv_packages "${PROJECT_SOURCE_DIR}/build/venv/lib/python3*/site-packages")
  find_path(TAUT_CUDNN_FRONTEND_INCLUDE_DIR NAMES cudnn_frontend.h
    HINTS ${CUDAToolkit_INCLUDE_DIRS} /opt/cudnn-frontend ${taut_venv_packages} PATH_SUFFIXES include)
  find_path(TAUT_NCCL_INCLUDE_DIR NAMES nccl.h HINTS ${CUDAToolkit_INCLUDE_DIRS} PATH_SUFFIXES include)
  # Beside the toolkit's other headers, or in a folder of its own in older ones.
  find_path(TAUT_CUPTI_INCLUDE_DIR NAMES cupti.h
    HINTS ${CUDAToolkit_INCLUDE_DIRS} "${CUDAToolkit_LIBRARY_ROOT}/extras/CUPTI" PATH_SUFFIXES include)
  mark_as_advanced(TAUT_CUPTI_INCLUDE_DIR)
  if(TAUT_CUPTI_INCLUDE_DIR)
    set(taut_cupti_found TRUE)
  endif()
  mark_as_advanced(TAUT_CUDNN_INCLUDE_DIR TAUT_CUDNN_FRONTEND_INCLUDE_DIR TAUT_NCCL_INCLUDE_DIR)
  if(TAUT_CUDNN_INCLUDE_DIR AND TAUT_CUDNN_FRONTEND_INCLUDE_DIR)
    set(taut_cudnn_found TRUE)
  endif()
  if(TAUT_NCCL_INCLUDE_DIR)
    set(taut_nccl_found TRUE)
  endif()
endif()
taut_settle(CUDNN taut_cudnn_found
  "It needs CUDA, cudnn.h and cudnn-frontend: pass -DTAUT_CUDNN_INCLUDE_DIR and -DTAUT_CUDNN_FRONTEND_INCLUDE_DIR.")
taut_settle(CUPTI taut_cupti_found "It needs CUDA and cupti.h: pass -DTAUT_CUPTI_INCLUDE_DIR.")
taut_settle(NCCL taut_nccl_found "It needs CUDA and nccl.h: pass -DTAUT_NCCL_INCLUDE_DIR.")

# ---- oneDNN -------------------------------------------------------------------------------------
if(NOT TAUT_WITH_ONEDNN STREQUAL "OFF")
  find_package(dnnl QUIET CONFIG)
endif()
taut_settle(ONEDNN dnnl_FOUND "Install it (apt install libdnnl-dev), or pass -Ddnnl_DIR=.../lib/cmake/dnnl.")

# ---- The clients of AI providers ----------------------------------------------------------------
# 7.85 is the first whose protocols can be limited by name.
if(NOT TAUT_WITH_AI STREQUAL "OFF")
  find_package(CURL 7.85 QUIET)
  find_package(SQLite3 QUIET)
endif()
set(taut_ai_found FALSE)
if(CURL_FOUND AND SQLite3_FOUND)
  set(taut_ai_found TRUE)
endif()
taut_settle(AI taut_ai_found "It needs libcurl 7.85 or newer and SQLite: apt install libcurl4-openssl-dev libsqlite3-dev.")
