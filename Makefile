# One command for each thing to do in a checkout; every one sets up .venv by itself.
#
#   make test    build, install, run the tests          make demo    train on a small real data set
#   make lint    formats, style, types                  make clean   remove what was built
#
# Without a GPU the plugin is built CPU-only, since compiling CUDA code takes a minute that nothing
# here would use; DALI_MIX_CUDA=13 make test builds it all the same. See setup.py.

PYTHON ?= python3
BIN := .venv/bin

ifeq ($(origin DALI_MIX_CUDA), undefined)
ifeq ($(shell nvidia-smi -L 2>/dev/null),)
export DALI_MIX_CUDA := cpu
endif
endif

# One stamp per flavour, and at most one at a time: another DALI_MIX_CUDA builds again.
STAMP := .venv/.installed-$(or $(DALI_MIX_CUDA),default)-$(DALI_MIX_CUDA_ARCHS)
NATIVE := $(wildcard $(addprefix dali_mix/native/*.,cc cu cuh h))

.PHONY: test lint demo clean

test: $(STAMP)
	$(BIN)/pytest

lint: $(STAMP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/clang-format --dry-run -Werror $(NATIVE)
	$(BIN)/mypy

demo: $(STAMP)
	$(BIN)/python pipelines/demo.py

clean:
	rm -rf build dist demo *.egg-info .venv/.installed-* dali_mix/libdali_mix.so dali_mix/_built.json

# What the build needs (setup.py names it) goes into .venv rather than into a throw-away
# environment, which would install DALI a second time at every rebuild.
$(STAMP): Makefile pyproject.toml setup.py dali_mix/__init__.py dali_mix/native/toolkit.py $(NATIVE)
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	rm -f .venv/.installed-*
	$(BIN)/pip install --quiet 'setuptools>=77'
	$(BIN)/python -c 'import sys, setuptools.build_meta as build; out, sys.stdout = sys.stdout, sys.stderr; \
	    print(*build.get_requires_for_build_editable(), sep="\n", file=out)' > .venv/requirements.txt
	$(BIN)/pip install --quiet --requirement .venv/requirements.txt
	$(BIN)/pip install --quiet --no-build-isolation --editable '.[test]'
	touch '$@'
