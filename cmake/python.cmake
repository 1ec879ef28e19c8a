# Finds the interpreter, its headers and pybind11, for the module and for the tests that are Python scripts.
#
# Sets TAUT_USE_PYTHON. The virtual environment of cmake/setup.sh is preferred to the system's Python.

set(TAUT_USE_PYTHON OFF)
set(taut_venv_python "${PROJECT_SOURCE_DIR}/build/venv/bin/python")
if(NOT SKBUILD AND NOT DEFINED Python_EXECUTABLE AND EXISTS "${taut_venv_python}")
  set(Python_EXECUTABLE "${taut_venv_python}")
endif()

if(TAUT_WITH_PYTHON STREQUAL "OFF")
  if(TAUT_BUILD_TESTS)
    find_package(Python 3.9 QUIET COMPONENTS Interpreter)
  endif()
  return()
endif()
file(GLOB taut_python_sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/python/src/*.cpp")
if(NOT taut_python_sources)
  set(taut_python_missing "This tree has no bindings (python/src/*.cpp).")
else()
  find_package(Python 3.9 QUIET COMPONENTS Interpreter Development.Module)
  if(NOT Python_Development.Module_FOUND)
    set(taut_python_missing "No Python 3.9 or newer with its headers was found: apt install python3-dev, or run cmake/setup.sh.")
  else()
    if(NOT pybind11_DIR)
      execute_process(
        COMMAND "${Python_EXECUTABLE}" -m pybind11 --cmakedir
        OUTPUT_VARIABLE pybind11_DIR OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    endif()
    find_package(pybind11 3 QUIET CONFIG)
    if(pybind11_FOUND)
      set(TAUT_USE_PYTHON ON)
    else()
      set(taut_python_missing
        "${Python_EXECUTABLE} has no pybind11 3 or newer: run cmake/setup.sh, or pip install 'pybind11>=3'.")
    endif()
  endif()
endif()
if(NOT TAUT_USE_PYTHON AND TAUT_WITH_PYTHON STREQUAL "ON")
  message(FATAL_ERROR "TAUT_WITH_PYTHON is ON. ${taut_python_missing}")
endif()
