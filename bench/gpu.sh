#!/usr/bin/env bash
# An NVIDIA GPU for a few minutes only: what is prepared without it, and three visits to it.
#
#   bench/gpu.sh build OUT      without a GPU: compiles the plugin, and the kernel without DALI
#   bench/gpu.sh rehearse OUT   without a GPU: the commands of the visits, on little and on the CPU
#
#   DALI_MIX_COMMIT=$(git rev-parse HEAD) bench/gpu.sh VISIT OUT
#
#   first    150 seconds, without DALI: the kernel checked, timed and profiled
#   second   60 seconds, without DALI: the loss, and the kernel under compute-sanitizer
#   third    420 seconds: tests for a GPU, operators, the pipeline, a training step behind it
#
# Each visit is worth having if the next one never comes. Nothing is compiled, installed or
# downloaded in a visit: build/kernel, dali_mix/libdali_mix.so and dali_mix/_built.json go along.
# DALI_MIX_COMMIT tells the results which commit they are of, where the checkout came without .git.
# DALI_MIX_DATA is a folder with one folder of photographs for each class, which the pipelines read;
# without it they read JPEGs made for the run.
#
# What takes longer than its limit is stopped, and counts as failed. A visit goes on after a failed
# step and exits with 1 in the end. After every step OUT/VISIT/ holds all so far in few files:
# summary.json, logs.tar.gz, the results; and the log of the step under way.
set -uo pipefail
declare -A seconds=([build]=1800 [rehearse]=1800 [first]=150 [second]=60 [third]=420)
usage() { echo "usage: bench/gpu.sh build|rehearse|first|second|third OUT" >&2; exit 2; }
[ $# -eq 2 ] && [[ $1 =~ ^[a-z]+$ ]] && [ -n "${seconds[$1]:-}" ] || usage
stage=$1 out=$(realpath -m "$2")
[ -z "${DALI_MIX_DATA:-}" ] || export DALI_MIX_DATA=$(realpath -m "$DALI_MIX_DATA")
photographs=(${DALI_MIX_DATA:+--data "$DALI_MIX_DATA"})
cd "$(dirname "$0")/.." || exit
python=${PYTHON:-python3}
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1 FAIL_WITHOUT_GPU=1

here=$out/$stage
[ ! -e "$here" ] || { echo "bench/gpu.sh: $here exists already; name another OUT" >&2; exit 2; }
mkdir -p "$here" build
finished=$(mktemp -d); trap 'rm -rf "$finished"' EXIT
steps=() failed=0 began=0
seconds_of_stage=$((${seconds[$stage]} - 10))  # and ten to die in
rehearsing=${DALI_MIX_REHEARSING:-}  # at the speed of a CPU
[ -z "$rehearsing" ] || seconds_of_stage=1500
commit=$([ -e .git ] && git rev-parse HEAD 2> /dev/null || echo "${DALI_MIX_COMMIT:-unknown}")
gpu=$(nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2> /dev/null |
  head -n 1)
nvcc=$(nvcc --version 2> /dev/null | tail -n 1)

# note NAME STATUS: writes anew what there is to carry away, as this may be the last chance.
note() {
  local joined
  steps+=("{\"step\": \"$1\", \"status\": $2, \"seconds\": $((SECONDS - began))}")
  [ "$2" -eq 0 ] || failed=1
  joined=$(IFS=,; echo "${steps[*]}")
  cat > "$here/summary.part" << JSON
{"stage": "$stage", "commit": "$commit", "gpu": "$gpu", "nvcc": "$nvcc", "steps": [$joined]}
JSON
  mv "$here/summary.part" "$here/summary.json"
  [ ! -e "$here/$1.log" ] || mv "$here/$1.log" "$finished/"
  tar -C "$finished" -czf "$here/logs.part" . && mv "$here/logs.part" "$here/logs.tar.gz"
}

# within LIMIT COMMAND…: with status 124 or 137 if it, or the stage, lasts longer.
within() {
  local limit=$1 left=$((seconds_of_stage - SECONDS)); shift
  [ "$left" -gt 0 ] || { echo "no time is left"; return 124; }
  [ -z "$rehearsing" ] || limit=$left
  # As by Ctrl-C, at which pytest still tells what has failed.
  timeout --signal=INT --kill-after=10 "$((limit < left ? limit : left))" "$@"
}

# step LIMIT NAME COMMAND…: runs it for at most so many seconds, and keeps what it says.
step() {
  local limit=$1 name=$2 status; shift 2
  began=$SECONDS
  echo "== $stage: $name"
  within "$limit" "$@" > "$here/$name.log" 2>&1; status=$?
  tail -n 3 "$here/$name.log"
  note "$name" "$status"
}

# on_gpu LIMIT NAME COMMAND…: a step that only a GPU can run. A rehearsal says what it would run.
on_gpu() {
  [ -n "$rehearsing" ] || { step "$@"; return; }
  echo "a GPU would run: ${*:3}"
  step "$1" "$2" test -x "$kernel"
}

# measure LIMIT NAME MODULE ARGUMENT… [-- ARGUMENT…]: a benchmark; what follows "--" is for a
# rehearsal, and replaces what was said before.
measure() {
  local limit=$1 name=$2 module=$3 arguments=(); shift 3
  while [ $# -gt 0 ] && [ "$1" != -- ]; do arguments+=("$1"); shift; done
  [ -z "$rehearsing" ] || arguments+=("${@:2}" --device cpu)
  step "$limit" "$name" "$python" -m "$module" "${arguments[@]}" --out "$here/$name.json"
}

kernel=build/kernel

run_build() {
  export DALI_MIX_CUDA=13 DALI_MIX_CUDA_ARCHS=${DALI_MIX_CUDA_ARCHS:-90}
  # As pip runs it: by itself, setup.py would look for what DALI needs, and ask the network.
  step 1200 plugin "$python" -c '
import runpy, sys
from setuptools.build_meta import no_install_setup_requires
sys.argv = ["setup.py", "build_ext", "--inplace"]
with no_install_setup_requires():
    runpy.run_path("setup.py", run_name="__main__")'
  step 1200 kernel nvcc -std=c++20 -O3 --fmad=false -arch="sm_$DALI_MIX_CUDA_ARCHS" -lineinfo \
    -Xptxas -v -Idali_mix/native -Itests/native bench/kernel/kernel.cu \
    dali_mix/native/loops/isa_baseline.cc -o "$kernel"
}

run_rehearse() {
  local visit
  for visit in first second third; do
    step 600 "$visit" env DALI_MIX_REHEARSING=1 bash bench/gpu.sh "$visit" "$here/visits"
  done
}

profile() {
  on_gpu 25 "$1" ncu --section SpeedOfLight --section WarpStateStats "$kernel" launch "$2"
}

run_first() {
  on_gpu 40 check "$kernel" check
  on_gpu 60 time "$kernel" time "$here/kernel-cases.json"
  [ -z "$rehearsing" ] || echo "[]" > "$here/kernel-cases.json"
  step 20 kernel_times "$python" -m bench.kernel "$here/kernel-cases.json" \
    --out "$here/kernel-times.json"
  profile profile_224 "mixup float16"
  profile profile_299 "mixup float16, 299"
}

run_second() {
  measure 30 loss bench.loss --device gpu --batch 1024 --classes 1000 21843 --rounds 10 \
    -- --batch 4 --classes 10 --rounds 2
  local tool
  for tool in memcheck racecheck; do
    on_gpu 25 "$tool" compute-sanitizer --tool "$tool" --error-exitcode 9 "$kernel" check 97
  done
}

run_third() {
  local parallel=(-n 4 --dist loadfile --no-loadscope-reorder) tests=(apply apply_layers previous)
  "$python" -m pytest --help 2>&1 | grep -e --no-loadscope-reorder > /dev/null || parallel=()
  tests=("${tests[@]/#/tests/graph/test_}")
  tests=("${tests[@]/%/.py}" tests/graph/test_order.py tests/graph/test_methods_everywhere.py)
  [ -z "$rehearsing" ] || parallel+=(--collect-only)
  step 20 doctor "$python" -m dali_mix doctor
  step 110 gpu_tests "$python" -m pytest -v -rfEs "${parallel[@]}" -m gpu "${tests[@]}"
  measure 100 operators bench.operators --device gpu --batch 32 256 --rounds 10 --dtype float16 \
    --layout CHW -- --batch 2 --size 16 --rounds 2 --no-peers
  measure 110 pipeline bench.pipeline --device gpu --dtype float16 --batch 256 --images 2048 \
    --rounds 30 --no-peers "${photographs[@]}" \
    -- --batch 4 --size 32 --images 8 --rounds 2 --synthetic 8
  measure 80 train_step bench.pipeline --step --device gpu --dtype float16 --batch 256 \
    --images 2560 --rounds 8 "${photographs[@]}" \
    -- --dtype float32 --batch 2 --size 32 --images 4 --rounds 2 --synthetic 8
}

"run_$stage"
cat "$here/summary.json"
exit "$failed"
