# Short names for what the CMake presets do. `make help` lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# A machine with a working GPU gets the CUDA kernels; override with PRESET=release, debug or cuda.
PRESET ?= $(shell nvidia-smi >/dev/null 2>&1 && echo cuda || echo release)
BUILD := build/$(PRESET)
PYTHON := build/venv/bin/python
PREFIX ?= /usr/local
JOBS ?= $(shell nproc)
# The Python that `make bench` compares with: one that has torch and numpy.
PEER ?= python3

# Warnings are errors in CI only: a compiler that is newer than Taut may warn of what none did before.
werror := $(if $(CI),ON,OFF)
# Configuring prints a page; show it only when it fails.
configure = @cmake --preset $(1) -DTAUT_WERROR=$(werror) >build/$(1)-configure.log 2>&1 || \
  { cat build/$(1)-configure.log >&2; exit 1; }

.PHONY: help setup configure build demo test cuda-compile sanitize format format-check tidy bench docs install clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup:  ## install what the build needs (apt packages, build/venv); quick when all is there
	@cmake/setup.sh

configure: setup
	$(call configure,$(PRESET))

build: configure  ## build the library, the Python package, the examples and the tests
	@cmake --build $(BUILD) -j $(JOBS)

demo: configure  ## build the library and train a first model on real data
	@start=$$SECONDS; \
	echo "building the library and the example (about 6 minutes on 2 cores, the first time) ..."; \
	cmake --build $(BUILD) -j $(JOBS) --target example_digits; \
	echo "built in $$((SECONDS - start)) s"; \
	echo; \
	$(BUILD)/examples/digits --save build/digits.safetensors --picture build/digits.png; \
	echo; \
	echo "More options:        $(BUILD)/examples/digits --help"; \
	echo "All of it:           make build; then $(BUILD)/examples/gpt --help writes text"; \
	echo "The same in Python:  PYTHONPATH=$(BUILD)/python $(PYTHON) examples/python/digits.py"; \
	echo "Install for C++:     make install PREFIX=\$$HOME/.local"; \
	echo "Install for Python:  pip install ."; \
	echo "Read on:             docs/guide/, examples/"

test:  ## build everything and run every test that this machine can run
	@start=$$SECONDS; \
	$(MAKE) build PRESET=$(PRESET); \
	cmake/setup.sh oracle; \
	$(MAKE) cuda-compile PRESET=$(PRESET); \
	echo "built in $$((SECONDS - start)) s"; \
	$(PYTHON) cmake/slowest.py $(BUILD); \
	ctest --test-dir $(BUILD) -j 2 --output-on-failure --no-tests=error; \
	echo "make test took $$((SECONDS - start)) s"

# Without a GPU the CUDA kernels cannot run, but a change must not break their build.
cuda-compile: setup
	@if [ $(PRESET) != cuda ] && [ -f kernels/table_cuda.cpp ] && \
	    { command -v nvcc || [ -x /usr/local/cuda/bin/nvcc ]; } >/dev/null; then \
	  echo "no GPU here: the CUDA kernels are compiled, not run"; \
	  cmake --preset cuda -DTAUT_WERROR=$(werror) -DTAUT_BUILD_TESTS=OFF -DTAUT_WITH_PYTHON=OFF \
	    -DCMAKE_CUDA_ARCHITECTURES=90 >build/cuda-configure.log 2>&1 || { cat build/cuda-configure.log >&2; exit 1; }; \
	  cmake --build build/cuda -j $(JOBS) --target taut; \
	fi

sanitize: setup  ## build and run the C++ tests under asan+ubsan, then under tsan
	$(call configure,asan)
	@cmake --build build/asan -j $(JOBS)
	@ctest --test-dir build/asan -j 2 --output-on-failure --no-tests=error
	$(call configure,tsan)
	@cmake --build build/tsan -j $(JOBS)
	@ctest --test-dir build/tsan -j 2 --output-on-failure --no-tests=error

sources = git ls-files --cached --others --exclude-standard '*.h' '*.cpp' '*.cu' '*.cuh' '*.inl' '*.def'

format: setup  ## format every C++ and CUDA file in place
	@$(sources) | xargs -r build/venv/bin/clang-format -i

format-check: setup  ## say which files are not formatted
	@$(sources) | xargs -r build/venv/bin/clang-format --dry-run -Werror

tidy:  ## run clang-tidy over the library (FILES="src/core/*.cpp" for a part)
	@cmake/setup.sh tidy
	$(call configure,debug)
	@$(PYTHON) cmake/tidy.py build/debug $(FILES)

bench: build  ## build the benchmarks and run each; PEER=python3 names a Python with torch to compare with
	@cmake --build $(BUILD) -j $(JOBS) --target benchmarks
	@for program in $(BUILD)/benchmarks/ops_*; do echo "== $$program"; "$$program"; done
	@if command -v valgrind >/dev/null; then \
	  echo "== benchmarks/instructions.py"; $(PYTHON) benchmarks/instructions.py --build $(BUILD); \
	else echo "valgrind is not here: no count of instructions (apt install valgrind)"; fi
	@if $(PEER) -c 'import numpy, torch' 2>/dev/null; then \
	  echo "== benchmarks/libtorch.py"; $(PEER) benchmarks/libtorch.py --build $(BUILD); \
	  echo "== benchmarks/compare.py"; PYTHONPATH=$(BUILD)/python $(PEER) benchmarks/compare.py --build $(BUILD); \
	else echo "$(PEER) has no torch: nothing is compared with PyTorch; name one that has: make bench PEER=..."; fi
	@if [ -x $(BUILD)/benchmarks/ai_load ] && cmake/setup.sh oracle && [ -x build/oracle/bin/python ]; then \
	  echo "== benchmarks/ai/sdk.py"; PYTHONPATH=$(BUILD)/python build/oracle/bin/python benchmarks/ai/sdk.py --build $(BUILD); \
	fi

docs: build  ## write the API reference, C++ and Python, into build/docs
	@cmake/setup.sh docs
	@rm -rf build/docs && mkdir -p build/docs
	@doxygen docs/Doxyfile
	@PYTHONPATH=$(BUILD)/python $(PYTHON) docs/python_reference.py build/docs/python
	@echo "open build/docs/cpp/index.html and build/docs/python/index.html"

install: configure  ## install the library and its headers under PREFIX (/usr/local)
	@cmake --build $(BUILD) -j $(JOBS) --target taut
	@cmake --install $(BUILD) --component library --prefix $(PREFIX)

clean:  ## remove what was built, but not build/venv and build/oracle
	@find build -mindepth 1 -maxdepth 1 ! -name venv ! -name oracle -exec rm -rf {} + 2>/dev/null || true
