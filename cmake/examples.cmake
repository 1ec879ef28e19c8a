# examples/cpp/<name>.cpp becomes the program build/<preset>/examples/<name>.

find_package(PNG QUIET)  # PNG files are written and read when libpng is there
find_package(JPEG QUIET)  # JPEG files are read when libjpeg is
find_path(taut_sentencepiece_include sentencepiece_processor.h)  # and text is split when this is
find_library(taut_sentencepiece_train sentencepiece_train)
find_library(taut_sentencepiece sentencepiece)
file(GLOB taut_example_sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/examples/cpp/*.cpp")
set(taut_example_targets)
foreach(source IN LISTS taut_example_sources)
  get_filename_component(name "${source}" NAME_WE)
  add_executable(example_${name} "${source}")
  set_target_properties(example_${name} PROPERTIES
    OUTPUT_NAME ${name} JOB_POOL_LINK taut_link CXX_EXTENSIONS OFF RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/examples")
  target_link_libraries(example_${name} PRIVATE taut::taut taut_build_flags)
  if(PNG_FOUND)
    target_link_libraries(example_${name} PRIVATE PNG::PNG)
    target_compile_definitions(example_${name} PRIVATE TAUT_EXAMPLE_HAS_PNG=1)
  endif()
  list(APPEND taut_example_targets example_${name})
endforeach()
if(JPEG_FOUND)
  target_link_libraries(example_resnet PRIVATE JPEG::JPEG)
  target_compile_definitions(example_resnet PRIVATE TAUT_EXAMPLE_HAS_JPEG=1)
endif()
if(taut_sentencepiece_include AND taut_sentencepiece_train AND taut_sentencepiece)
  target_include_directories(example_gpt2 SYSTEM PRIVATE "${taut_sentencepiece_include}")
  target_link_libraries(example_gpt2 PRIVATE "${taut_sentencepiece_train}" "${taut_sentencepiece}")
  target_compile_definitions(example_gpt2 PRIVATE TAUT_EXAMPLE_SENTENCEPIECE=1)
endif()
# A plugin, with a project of its own.
add_subdirectory("${PROJECT_SOURCE_DIR}/examples/custom_attention" "${PROJECT_BINARY_DIR}/examples/custom_attention")
set_target_properties(custom_attention PROPERTIES
  JOB_POOL_LINK taut_link LIBRARY_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/examples")
target_link_libraries(custom_attention PRIVATE taut_build_flags)
list(APPEND taut_example_targets custom_attention)
add_custom_target(examples DEPENDS ${taut_example_targets})
