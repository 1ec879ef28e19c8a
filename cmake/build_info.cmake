# Writes taut/base/config.h (installed) and build_info.h (private to src/) into the build tree. configure_file leaves a
# file alone whose text did not change, so nothing is rebuilt for it.

set(taut_info_build_type "${CMAKE_BUILD_TYPE}")
string(TOUPPER "${CMAKE_BUILD_TYPE}" taut_type)
string(STRIP "${CMAKE_CXX_FLAGS} ${CMAKE_CXX_FLAGS_${taut_type}}" taut_info_flags)
string(REPLACE "\\" "\\\\" taut_info_flags "${taut_info_flags}")
string(REPLACE "\"" "\\\"" taut_info_flags "${taut_info_flags}")

set(taut_info_sanitize "none")
if(TAUT_SANITIZE)
  set(taut_info_sanitize "${TAUT_SANITIZE}")
endif()

# Reads `#define NAME number` for each name and joins the numbers with dots.
function(taut_version_from_header output header)
  set(parts)
  if(EXISTS "${header}")
    foreach(name IN LISTS ARGN)
      file(STRINGS "${header}" line REGEX "^#[ \t]*define[ \t]+${name}[ \t]+[0-9]+" LIMIT_COUNT 1)
      string(REGEX MATCH "[0-9]+[ \t]*$" number "${line}")
      string(STRIP "${number}" number)
      list(APPEND parts "${number}")
    endforeach()
  endif()
  list(JOIN parts "." joined)
  set(${output} "${joined}" PARENT_SCOPE)
endfunction()

taut_version_from_header(taut_info_highway "${TAUT_HIGHWAY_INCLUDE_DIR}/hwy/base.h" HWY_MAJOR HWY_MINOR HWY_PATCH)
if(taut_info_highway MATCHES "^\\.*$")
  taut_version_from_header(taut_info_highway "${TAUT_HIGHWAY_INCLUDE_DIR}/hwy/highway.h" HWY_MAJOR HWY_MINOR HWY_PATCH)
endif()

foreach(name cuda cudnn nccl onednn)
  set(taut_info_${name} "no")
endforeach()
if(TAUT_HAS_CUDA)
  string(REPLACE ";" " " taut_architectures "${CMAKE_CUDA_ARCHITECTURES}")
  set(taut_info_cuda "${CUDAToolkit_VERSION} for ${taut_architectures}")
endif()
if(TAUT_HAS_CUDNN)
  taut_version_from_header(taut_info_cudnn "${TAUT_CUDNN_INCLUDE_DIR}/cudnn_version.h"
    CUDNN_MAJOR CUDNN_MINOR CUDNN_PATCHLEVEL)
endif()
if(TAUT_HAS_NCCL)
  taut_version_from_header(taut_info_nccl "${TAUT_NCCL_INCLUDE_DIR}/nccl.h" NCCL_MAJOR NCCL_MINOR NCCL_PATCH)
endif()
if(TAUT_HAS_ONEDNN)
  set(taut_info_onednn "${dnnl_VERSION}")
endif()

configure_file(cmake/templates/config.h.in "${PROJECT_BINARY_DIR}/include/taut/base/config.h" @ONLY)
configure_file(cmake/templates/build_info.h.in "${PROJECT_BINARY_DIR}/private/build_info.h" @ONLY)
