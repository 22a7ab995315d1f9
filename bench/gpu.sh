#!/usr/bin/env bash
# An NVIDIA GPU for a few minutes only: what is prepared without it, and three visits to it.
#
#   bench/gpu.sh build OUT      without a GPU: compiles the plugin, and the kernel without DALI
#   bench/gpu.sh rehearse OUT   without a GPU: the commands of the visits, on little and on the CPU
#
#   DALI_MIX_COMMIT=$(git rev-parse HEAD) bench/gpu.sh VISIT OUT
#
#   first    150 seconds, without DALI: the kernel checked, timed, profiled; the loss
#   second   60 seconds, without DALI: those who mix in PyTorch
#   third    420 seconds: tests for a GPU, operators, the pipeline, a training step, trainings
#
# Each visit is worth having if the next one never comes. Nothing is compiled, installed or
# downloaded in a visit: build/kernel and dali_mix/lib/ go along.
#
# DALI_MIX_COMMIT  the commit of the results, where the checkout came without .git
# DALI_MIX_PARTS   a folder of parts of DALI. Each visit moves what is in it out of the checkout, to
#                  DALI_MIX_SITE.parts. The third unpacks all part.*, of a packed tar, into
#                  DALI_MIX_SITE (/tmp/dali_mix-site), if they fit SHA256SUMS.
# DALI_MIX_DATA    a folder with one folder of photographs for each class, which the pipelines read;
#                  without it they read JPEGs made for the run
# DALI_MIX_CIFAR   CIFAR-10, as bench.training takes it, to train on in the minutes that are left
#
# What takes longer than its limit is stopped, and counts as failed. A visit goes on after a failed
# step and exits with 1 in the end. After every step OUT/VISIT/ holds all so far in few files.
set -uo pipefail
declare -A seconds=([build]=1800 [rehearse]=1800 [first]=150 [second]=60 [third]=420)
usage() { echo "usage: bench/gpu.sh build|rehearse|first|second|third OUT" >&2; exit 2; }
[ $# -eq 2 ] && [[ $1 =~ ^[a-z]+$ ]] && [ -n "${seconds[$1]:-}" ] || usage
stage=$1 out=$(realpath -m "$2")
for name in DALI_MIX_DATA DALI_MIX_CIFAR DALI_MIX_PARTS; do
  [ -z "${!name:-}" ] || export "$name=$(realpath -m "${!name}")"
done
photographs=(${DALI_MIX_DATA:+--data "$DALI_MIX_DATA"})
cd "$(dirname "$0")/.." || exit
python=${PYTHON:-python3} kernel=build/kernel site=${DALI_MIX_SITE:-/tmp/dali_mix-site}
export PYTHONPATH=$PWD:$site${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1 FAIL_WITHOUT_GPU=1
export LD_LIBRARY_PATH=$site/nvidia/cu13/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}

here=$out/$stage
[ ! -e "$here" ] || { echo "bench/gpu.sh: $here exists already; name another OUT" >&2; exit 2; }
mkdir -p "$here" build
finished=$(mktemp -d); trap 'rm -rf "$finished"' EXIT
steps=() failed=0 began=0
end=$((${seconds[$stage]} - 10))  # and ten to die in
rehearsing=${DALI_MIX_REHEARSING:-}  # at the speed of a CPU
[ -z "$rehearsing" ] || end=1500
commit=$([ -e .git ] && git rev-parse HEAD 2> /dev/null || echo "${DALI_MIX_COMMIT:-unknown}")
gpu=$(nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2> /dev/null |
  head -n 1)

# step LIMIT NAME COMMAND…: runs it for at most so many seconds, with status 124 or 137 if it or the
# stage lasts longer, and writes anew what there is to carry away, as this may be the last chance.
step() {
  local limit=$1 name=$2 left=$((end - SECONDS)) began=$SECONDS status=124; shift 2
  echo "== $stage: $name"
  [ -z "$rehearsing" ] || limit=$left
  if [ "$left" -gt 0 ]; then  # stopped as by Ctrl-C, at which pytest still tells what has failed
    timeout --signal=INT --kill-after=10 "$((limit < left ? limit : left))" "$@"
    status=$?
  else
    echo "no time is left"
  fi > "$here/$name.log" 2>&1
  tail -n 3 "$here/$name.log"
  [ "$status" -eq 0 ] || failed=1
  steps+=("{\"step\": \"$name\", \"status\": $status, \"seconds\": $((SECONDS - began))}")
  printf '{"stage": "%s", "commit": "%s", "gpu": "%s", "steps": [%s]}\n' "$stage" "$commit" \
    "$gpu" "$(IFS=,; echo "${steps[*]}")" > "$here/summary.part"
  mv "$here/summary.part" "$here/summary.json"
  mv "$here/$name.log" "$finished/"
  tar -C "$finished" -czf "$here/logs.part" . && mv "$here/logs.part" "$here/logs.tar.gz"
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
  local limit=$1 name=$2 module=$3 arguments=(--device gpu); shift 3
  while [ $# -gt 0 ] && [ "$1" != -- ]; do arguments+=("$1"); shift; done
  [ -z "$rehearsing" ] || arguments+=("${@:2}" --device cpu)
  step "$limit" "$name" "$python" -m "$module" "${arguments[@]}" --out "$here/$name.json"
}

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
    step 600 "$visit" env -u DALI_MIX_PARTS DALI_MIX_REHEARSING=1 \
      bash bench/gpu.sh "$visit" "$here/visits"
  done
}

run_first() {
  local tool
  on_gpu 30 check "$kernel" check
  on_gpu 40 kernel_times "$python" -m bench.kernel "$kernel" --out "$here/kernel-times.json"
  for tool in "mixup float16" "mixup float16, 299"; do  # the clocks stay as they are
    on_gpu 15 "profile_${tool//[ ,]/_}" ncu --clock-control none --section SpeedOfLight \
      --section WarpStateStats "$kernel" launch "$tool"
  done
  for tool in memcheck racecheck; do
    on_gpu 20 "$tool" compute-sanitizer --tool "$tool" --error-exitcode 9 "$kernel" check 97
  done
  measure 30 loss bench.loss --batch 1024 --classes 1000 21843 --rounds 10 \
    -- --batch 4 --classes 10 --rounds 2
}

run_second() {
  measure 50 peers bench.operators --no-dali --batch 256 --rounds 5 --dtype float16 --layout CHW \
    -- --batch 2 --size 16 --rounds 2
}

run_third() {
  local tuned=() parallel=(-n 8 --dist loadfile --no-loadscope-reorder)
  local tests=(busy_gpu order previous executors apply_batches partners labels multi_images apply)
  tests=("${tests[@]/#/tests/graph/test_}")
  "$python" -m pytest --help 2>&1 | grep -e --no-loadscope-reorder > /dev/null || parallel=()
  [ -z "$rehearsing" ] || parallel+=(--collect-only)
  [ ! -d "$site.parts" ] || step 60 unpack bash -c '
    cd "$0" && sha256sum --check --quiet SHA256SUMS && mkdir -p "$1" &&
      cat part.* | xz -dc -T0 | tar -C "$1" -xf -' "$site.parts" "$site"
  step 20 doctor "$python" -m dali_mix doctor
  step 110 gpu_tests "$python" -m pytest -v -rfEs -W default "${parallel[@]}" -m gpu "${tests[@]/%/.py}"
  measure 80 operators bench.operators --batch 32 256 --rounds 10 --dtype float16 --layout CHW \
    -- --batch 2 --size 16 --rounds 2 --no-peers
  measure 110 pipeline bench.pipeline --tune --dtype float16 --batch 256 --images 2048 \
    --rounds 30 "${photographs[@]}" \
    -- --batch 4 --size 32 --images 8 --rounds 2 --synthetic 8
  [ ! -e "$here/pipeline.json" ] || tuned=(--like "$here/pipeline.json")
  measure 80 train_step bench.pipeline --step --dtype float16 --batch 256 --images 2560 \
    --rounds 8 "${tuned[@]}" "${photographs[@]}" \
    -- --dtype float32 --batch 2 --size 32 --images 4 --rounds 2 --synthetic 8
  [ -z "${DALI_MIX_CIFAR:-}" ] || measure 400 cifar bench.training cifar --data "$DALI_MIX_CIFAR" \
    --workers 1 -- --seeds 1 --epochs 1 --batch 20
}

# Parts that come with a visit make room in the checkout for those of the next.
[ -z "${DALI_MIX_PARTS:-}" ] || { mkdir -p "$site.parts" && mv "$DALI_MIX_PARTS"/* "$site.parts/"; }
"run_$stage"
cat "$here/summary.json"
exit "$failed"
