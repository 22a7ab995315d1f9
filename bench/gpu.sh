#!/usr/bin/env bash
# On a machine with an NVIDIA GPU: build, test, sanitize and measure, each stage on its own.
#
#   DALI_MIX_COMMIT=$(git rev-parse HEAD) bench/gpu.sh STAGE OUT
#
#   build      the plugin for this GPU, and the kernel without DALI, which later stages run
#   test       the kernel against the CPU, the tests for a GPU, then the others
#   sanitize   the kernel under compute-sanitizer, as far as that works here
#   bench      times of the kernel and of the operators
#   sweep      times of the operators over batch and image sizes, and on the CPU
#   pipeline   times of the loss, and of the pipeline from JPEG files
#   train      the pipeline beside its peers, and a training step behind it
#   all        these, one after the other
#
# DALI_MIX_COMMIT tells the results which commit they are of, where the checkout came without .git.
# DALI_MIX_DATA is a folder with one folder of photographs for each class, which the pipelines read;
# without it they read JPEGs made for the run.
#
# A stage ends within nine minutes: what is not done by then is stopped, and counts as failed. It goes
# on after a failed step, because the machine may not be had again, and exits with 1 in the end.
# After every step OUT/STAGE/ holds all so far in few files: summary.json, logs.tar.gz, the results;
# and the log of the step under way. Needs nvcc, DALI, PyTorch, Pillow and pytest; installs and
# downloads nothing. The build goes into the checkout.
set -uo pipefail
stages=(build test sanitize bench sweep pipeline train)
usage() { (IFS='|'; echo "usage: bench/gpu.sh ${stages[*]}|all OUT" >&2); exit 2; }
[ $# -eq 2 ] || usage
stage=$1 out=$(realpath -m "$2")
[ -z "${DALI_MIX_DATA:-}" ] || export DALI_MIX_DATA=$(realpath -m "$DALI_MIX_DATA")
photographs=(${DALI_MIX_DATA:+--data "$DALI_MIX_DATA"})
cd "$(dirname "$0")/.." || exit
python=${PYTHON:-python3}
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1 FAIL_WITHOUT_GPU=1

if [ "$stage" = all ]; then
  status=0
  for each in "${stages[@]}"; do bash bench/gpu.sh "$each" "$out" || status=1; done
  exit $status
fi
[[ " ${stages[*]} " = *" $stage "* ]] || usage

here=$out/$stage
[ ! -e "$here" ] || { echo "bench/gpu.sh: $here exists already; name another OUT" >&2; exit 2; }
mkdir -p "$here" build
finished=$(mktemp -d); trap 'rm -rf "$finished"' EXIT
steps=() failed=0 began=0
seconds_of_stage=520  # and ten to die in
commit=$([ -e .git ] && git rev-parse HEAD 2> /dev/null || echo "${DALI_MIX_COMMIT:-unknown}")
gpu=$(nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2> /dev/null |
  head -n 1)
nvcc=$(nvcc --version 2> /dev/null | tail -n 1)

# note NAME STATUS [WHY]: writes anew what there is to carry away, as this may be the last chance.
note() {
  local why=${3:+, \"skipped\": \"$3\"} joined
  steps+=("{\"step\": \"$1\", \"status\": $2, \"seconds\": $((SECONDS - began))$why}")
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

# skip NAME WHY: what could not be tried is said, never passed over.
skip() {
  echo "== $stage: $1 skipped: $2"
  note "$1" 0 "$2"
}

architecture() { nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -n 1 | tr -d '. '; }
kernel=build/kernel

run_build() {
  export DALI_MIX_CUDA=13 DALI_MIX_CUDA_ARCHS=${DALI_MIX_CUDA_ARCHS:-$(architecture)}
  # As pip runs it: by itself, setup.py would look for what DALI needs, and ask the network.
  step 300 plugin "$python" -c '
import runpy, sys
from setuptools.build_meta import no_install_setup_requires
sys.argv = ["setup.py", "build_ext", "--inplace"]
with no_install_setup_requires():
    runpy.run_path("setup.py", run_name="__main__")'
  step 240 kernel nvcc -std=c++20 -O3 --fmad=false -arch=native -lineinfo -Xptxas -v \
    -Idali_mix/native -Itests/native bench/kernel/kernel.cu dali_mix/native/loops/isa_baseline.cc -o "$kernel"
  step 60 doctor "$python" -m dali_mix doctor
}

# tests LIMIT NAME PROCESSES MARK…: in parallel, as make does, where pytest has what it takes.
tests() {
  local limit=$1 name=$2 parallel=(-n "$3" --dist loadfile --no-loadscope-reorder); shift 3
  "$python" -m pytest --help 2>&1 | grep -e --no-loadscope-reorder > /dev/null || parallel=()
  step "$limit" "$name" "$python" -m pytest -v -rfEs "${parallel[@]}" -m "$@"
}

run_test() {
  step 60 kernel "$kernel" check
  tests 200 gpu_tests 4 gpu
  tests 420 all_tests "$(nproc)" 'not gpu' --deselect tests/native/test_build.py
}

run_sanitize() {
  local tool why log probed
  # Right beyond doubt: a tool that fails on this does not work here, and has found nothing.
  cat > build/probe.cu << 'CUDA'
__global__ void set(int *x) { *x = 1; }
int main() {
  int *x, y = 0;
  cudaMalloc(&x, sizeof y);
  set<<<1, 1>>>(x);
  cudaMemcpy(&y, x, sizeof y, cudaMemcpyDeviceToHost);
  return y != 1;
}
CUDA
  step 60 probe nvcc -arch=native build/probe.cu -o build/probe
  step 20 probe_alone build/probe
  probed=$((1 - failed))
  for tool in memcheck racecheck initcheck; do
    began=$SECONDS log=$finished/probe_$tool.log
    if [ $probed -eq 1 ] && [ $SECONDS -lt $seconds_of_stage ] &&
      ! within 60 compute-sanitizer --tool "$tool" build/probe > "$log" 2>&1; then
      why=$({ grep -i -m 1 error "$log" || tail -n 1 "$log"; } | tr -cd '[:alnum:] .,:;()-')
      skip "$tool" "compute-sanitizer does not work here: $why"
    else
      step 180 "$tool" compute-sanitizer --tool "$tool" --error-exitcode 9 "$kernel" check
    fi
  done
}

run_bench() {
  step 240 kernel "$kernel" time "$here/kernel-cases.json"
  step 20 kernel_times "$python" -m bench.kernel "$here/kernel-cases.json" \
    --out "$here/kernel-times.json"
  step 300 operators "$python" -m bench.operators --device gpu --batch 256 --rounds 10 \
    --dtype float32 float16 uint8 --out "$here/operators-gpu.json"
}

run_sweep() {
  # One type and layout: the rest of a sweep is for who has the machine for longer.
  step 360 operators_sweep "$python" -m bench.operators --device gpu --sweep --rounds 5 \
    --dtype float16 --layout CHW --out "$here/operators-gpu-sweep.json"
  step 180 operators_on_the_cpu "$python" -m bench.operators --no-peers \
    --out "$here/operators.json"
}

run_pipeline() {
  step 120 loss "$python" -m bench.loss --device gpu --batch 1024 --classes 1000 21843 \
    --out "$here/loss.json"
  step 390 pipeline "$python" -m bench.pipeline --device gpu --dtype float16 --batch 256 \
    --images 2048 --rounds 30 --no-peers "${photographs[@]}" --out "$here/pipeline.json"
}

run_train() {
  step 270 pipeline_with_peers "$python" -m bench.pipeline --device gpu --dtype float16 \
    --batch 128 --images 2048 --rounds 15 "${photographs[@]}" \
    --out "$here/pipeline.json"
  step 240 train_step "$python" -m bench.pipeline --step --device gpu --dtype float16 \
    --batch 256 --images 5120 --rounds 12 "${photographs[@]}" --out "$here/train_step.json"
}

"run_$stage"
cat "$here/summary.json"
exit "$failed"
