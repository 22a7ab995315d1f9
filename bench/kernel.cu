// The CUDA kernel alone, without DALI: checked against the portable CPU loop, then timed beside a
// copy on the device that moves as many bytes.
//
//   kernel check           every kind of tile on small batches, inline and uploaded; for sanitizers
//   kernel time OUT.json   milliseconds and GB/s at batch 256 x 224 x 224 and other shapes
//
// Build: nvcc -std=c++20 -O3 --fmad=false -arch=native -Idali_mix/native bench/kernel.cu \
//        dali_mix/native/rows_baseline.cc -o kernel
#include <algorithm>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "kernel_batch.cuh"

namespace {

RowsKey Key(InType in, OutType out, int channels, int out_channels, bool interleaved, bool planar) {
  return {in, out, channels, out_channels, interleaved, planar, false};
}

// What a case is beside its key and mix.
constexpr Shape kShapes[] = {
    {{}, 3, 9, 32, {}, true, 0},         // whole tiles, all aligned
    {{}, 4, 7, 37, {}, true, 5},         // crops that begin anywhere, rows that end in a tile
    {{}, 2, 3, 131, {}, false, 13},      // several tiles of every type
    {{}, 7, 12, 41, {}, true, 3, true},  // ragged
    {{}, 260, 2, 3, {}, true, 1},        // too many samples for the parameters
    {{}, 5, 8, 24, {}, true, 0, false, true},
};

int Check() {
  int cases = 0, wrong = 0;
  const int channels[][2] = {{1, 1}, {3, 3}, {3, 4}, {4, 4}, {5, 5}};
  for (const InType in : {InType::kUint8, InType::kFloat, InType::kHalf})
    for (const OutType out : {OutType::kFloat, OutType::kHalf, OutType::kUint8, OutType::kInt8})
      for (const auto [c_in, c_out] : channels)
        for (int layout = 0; layout < 4; layout++)
          for (const Mix mix :
               {Mix::kBlend, Mix::kCut, Mix::kNone, Mix::kAll, Mix::kBoxes, Mix::kMask, Mix::kMany})
            for (Shape shape : kShapes) {
              // Layers change what shows, not where it lies.
              if (mix >= Mix::kBoxes && shape.margin != 5 && !shape.ragged) continue;
              shape.key = Key(in, out, c_in, c_out, layout & 1, layout & 2);
              shape.mix = mix;
              cases++;
              wrong += !MixBatch(shape).MatchesHost();
            }
  std::printf("%d of %d batches agree with the CPU to the bit\n", cases - wrong, cases);
  return wrong ? 1 : 0;
}

// Median of `rounds`, in milliseconds.
template <typename F>
double Time(F &&launch, int rounds = 50) {
  cudaEvent_t begin, end;
  CHECK_CUDA(cudaEventCreate(&begin));
  CHECK_CUDA(cudaEventCreate(&end));
  std::vector<float> times;
  for (int i = 0; i < rounds + 5; i++) {
    CHECK_CUDA(cudaEventRecord(begin));
    launch();
    CHECK_CUDA(cudaEventRecord(end));
    CHECK_CUDA(cudaEventSynchronize(end));
    float milliseconds;
    CHECK_CUDA(cudaEventElapsedTime(&milliseconds, begin, end));
    if (i >= 5) times.push_back(milliseconds);
  }
  CHECK_CUDA(cudaEventDestroy(begin));
  CHECK_CUDA(cudaEventDestroy(end));
  std::nth_element(times.begin(), times.begin() + times.size() / 2, times.end());
  return times[times.size() / 2];
}

struct Timing {
  double mixing, copying;  // milliseconds
};

// The kernel, and a copy on the device that moves as many bytes.
Timing TimeBeside(MixBatch &batch) {
  const size_t half = static_cast<size_t>(batch.BytesMoved()) / 2;
  const DeviceBytes copy(2 * half);
  const double mixing = Time([&] { batch.Launch(nullptr); });
  const double copying = Time([&] {
    CHECK_CUDA(cudaMemcpyAsync(copy.data(), copy.data() + half, half, cudaMemcpyDeviceToDevice));
  });
  return {mixing, copying};
}

int TimeAll(const char *path) {
  std::FILE *file = std::fopen(path, "w");
  if (!file) {
    std::fprintf(stderr, "%s cannot be written.\n", path);
    return 2;
  }
  std::fprintf(file, "[\n");
  bool first = true;
  const std::pair<const char *, OutType> outs[] = {
      {"float16", OutType::kHalf}, {"float32", OutType::kFloat}, {"uint8", OutType::kUint8}};
  const std::pair<const char *, Mix> mixes[] = {{"mixup", Mix::kBlend},
                                                {"cutmix", Mix::kCut},
                                                {"unmixed", Mix::kNone},
                                                {"masked", Mix::kMask}};
  for (const auto [count, side] : {std::pair{256, 224}, {64, 224}, {32, 224}, {512, 32}, {64, 512}})
    for (const auto &[out_name, out] : outs)
      for (const bool planar : {true, false})
        for (const auto &[mix_name, mix] : mixes)
          for (const bool mirror : {false, true})
            for (const bool chained : {false, true}) {
              // Only where two images are read can the order bring them together.
              if (chained && mix != Mix::kBlend) continue;
              const RowsKey key = Key(InType::kUint8, out, 3, 3, true, planar);
              MixBatch batch({key, count, side, side, mix, mirror, 0, false, chained});
              const Timing timing = TimeBeside(batch);
              std::fprintf(file,
                           "%s{\"batch\": %d, \"side\": %d, \"dtype\": \"%s\", \"layout\": \"%s\", "
                           "\"mix\": \"%s\", \"mirror\": %s, \"order\": \"%s\", \"ms\": %.5f, "
                           "\"copy_ms\": %.5f, \"bytes\": %.0f}",
                           first ? "" : ",\n", count, side, out_name, planar ? "CHW" : "HWC",
                           mix_name, mirror ? "true" : "false", chained ? "chain" : "batch",
                           timing.mixing, timing.copying, batch.BytesMoved());
              first = false;
            }
  std::fprintf(file, "\n]\n");
  return std::fclose(file);
}

}  // namespace

int main(int argc, char **argv) {
  if (argc == 2 && std::string(argv[1]) == "check") return Check();
  if (argc == 3 && std::string(argv[1]) == "time") return TimeAll(argv[2]);
  std::fprintf(stderr, "usage: kernel check | kernel time OUT.json\n");
  return 2;
}
