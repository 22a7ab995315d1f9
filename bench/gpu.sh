#!/usr/bin/env bash
# On a machine with an NVIDIA GPU: build, test, sanitize and measure, each stage on its own.
#
#   bench/gpu.sh STAGE OUT      STAGE: build, test, sanitize, bench, train, or all of them
#
# Each stage leaves OUT/STAGE/summary.json and OUT/STAGE/logs.tar.gz, and exits with 1 if a step of it
# failed; it goes on after a failed step, because the machine may not be had again. Needs nvcc, DALI,
# PyTorch, Pillow and pytest; installs and downloads nothing. The build goes into the checkout.
set -uo pipefail
cd "$(dirname "$0")/.."
usage() { echo "usage: bench/gpu.sh build|test|sanitize|bench|train|all OUT" >&2; exit 2; }
[ $# -eq 2 ] || usage
stage=$1 out=$2
python=${PYTHON:-python3}
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1 FAIL_WITHOUT_GPU=1

if [ "$stage" = all ]; then
  status=0
  for each in build test sanitize bench train; do "$0" "$each" "$out" || status=1; done
  exit $status
fi
case $stage in build|test|sanitize|bench|train) ;; *) usage ;; esac

logs=$(mktemp -d); trap 'rm -rf "$logs"' EXIT
mkdir -p "$out/$stage"
steps=()

# step NAME COMMAND…: runs it, keeps its output, notes how it ended and how long it took.
step() {
  local name=$1 begin=$SECONDS status; shift
  echo "== $stage: $name"
  "$@" > "$logs/$name.log" 2>&1; status=$?
  tail -n 3 "$logs/$name.log"
  steps+=("{\"step\": \"$name\", \"status\": $status, \"seconds\": $((SECONDS - begin))}")
}

# skip NAME WHY: what could not be tried is said, never passed over.
skip() {
  echo "== $stage: $1 skipped: $2"
  steps+=("{\"step\": \"$1\", \"status\": 0, \"skipped\": \"$2\"}")
}

architecture() { nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -n 1 | tr -d '. '; }
kernel=build/kernel

run_build() {
  export DALI_MIX_CUDA=13 DALI_MIX_CUDA_ARCHS=${DALI_MIX_CUDA_ARCHS:-$(architecture)}
  step plugin "$python" setup.py build_ext --inplace
  mkdir -p build
  step kernel nvcc -std=c++20 -O3 --fmad=false -arch=native -lineinfo -Xptxas -v -Idali_mix/native \
    bench/kernel.cu dali_mix/native/rows_baseline.cc -o "$kernel"
  step disassembly cuobjdump --dump-sass "$kernel"
  step doctor "$python" -m dali_mix doctor
}

run_test() {
  step kernel "$kernel" check
  step gpu_tests "$python" -m pytest -m gpu -q -rs
  step all_tests "$python" -m pytest -m 'not gpu' -q -rs --deselect tests/test_build.py
}

run_sanitize() {
  local tool
  for tool in memcheck racecheck initcheck; do
    if ! compute-sanitizer --tool "$tool" --error-exitcode 9 true > "$logs/probe.log" 2>&1; then
      skip "$tool" "compute-sanitizer does not run here"
      continue
    fi
    step "$tool" compute-sanitizer --tool "$tool" --error-exitcode 9 "$kernel" check
  done
}

run_bench() {
  step kernel "$kernel" time "$out/bench/kernel.json"
  step loss "$python" bench/loss.py --device cuda --batch 1024 --classes 1000 21843 \
    --out "$out/bench/loss.json"
  step operators "$python" bench/operators.py --device gpu --batch 256 --rounds 10 \
    --dtype float32 float16 uint8 --out "$out/bench/operators-gpu.json"
  # One type and layout: the rest of a sweep is for who has the machine for longer.
  step operators_sweep "$python" bench/operators.py --device gpu --sweep --rounds 5 \
    --dtype float16 --layout CHW --out "$out/bench/operators-gpu-sweep.json"
  step operators_on_the_cpu "$python" bench/operators.py --no-peers --out "$out/bench/operators.json"
  step pipeline timeout 240 "$python" bench/pipeline.py --device gpu --dtype float16 --batch 256 \
    --images 2048 --no-peers --out "$out/bench/pipeline.json"
}

run_train() {
  step pipeline_with_peers timeout 270 "$python" bench/pipeline.py --device gpu --dtype float16 \
    --batch 128 --images 2048 --rounds 10 --no-sweep --out "$out/train/pipeline.json"
  step train_step timeout 240 "$python" bench/train_step.py --rounds 12 \
    --out "$out/train/train_step.json"
}

"run_$stage"

joined=$(IFS=,; echo "${steps[*]}")
cat > "$out/$stage/summary.json" <<JSON
{"stage": "$stage",
 "commit": "$(git rev-parse HEAD 2>/dev/null)",
 "gpu": "$(nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>/dev/null | head -n 1)",
 "nvcc": "$(nvcc --version 2>/dev/null | tail -n 1)",
 "steps": [$joined]}
JSON
tar -C "$logs" -czf "$out/$stage/logs.tar.gz" .
cat "$out/$stage/summary.json"
[[ $joined =~ \"status\":\ [1-9] ]] && exit 1
exit 0
