# The text of the functors, and of what generated kernels are made of, as strings of the library: run-time fusion gives
# them to NVRTC.

set(taut_fusion_text "#pragma once\n// Made by cmake/fusion_sources.cmake.\n\nnamespace taut::fusion::sources {\n")
foreach(entry IN ITEMS
    DeviceStd:kernels/fusion/device_std.inl Macros:include/taut/base/macros.h Functor:kernels/api/functor.h
    ScalarMath:kernels/api/scalar_math.h Device:kernels/fusion/device.inl QuickGelu:kernels/elementwise/quick_gelu.h
    SpecialMath:kernels/elementwise/special_math.h Activation:kernels/elementwise/activation.inl
    Arithmetic:kernels/elementwise/arithmetic.inl Bitwise:kernels/elementwise/bitwise.inl
    Compare:kernels/elementwise/compare.inl Exponential:kernels/elementwise/exponential.inl
    Loss:kernels/elementwise/loss.inl Rounding:kernels/elementwise/rounding.inl
    Special:kernels/elementwise/special.inl Trigonometry:kernels/elementwise/trigonometry.inl)
  string(REPLACE ":" ";" parts "${entry}")
  list(GET parts 0 name)
  list(GET parts 1 path)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/${path}")
  file(READ "${PROJECT_SOURCE_DIR}/${path}" content)
  string(APPEND taut_fusion_text "inline constexpr char k${name}[] = R\"taut_text(${content})taut_text\";\n")
endforeach()
string(APPEND taut_fusion_text "}  // namespace taut::fusion::sources\n")
# Only what changed is written, and compiled again.
file(CONFIGURE OUTPUT "${PROJECT_BINARY_DIR}/private/fusion_sources.h" CONTENT "@taut_fusion_text@" @ONLY)
