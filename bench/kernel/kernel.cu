// The CUDA kernel alone, without DALI: checked against the portable CPU loop, then timed beside a
// copy on the device that moves as many bytes.
//
//   kernel check           every kind of tile on small batches, inline and uploaded; for sanitizers
//   kernel time OUT.json   milliseconds at batch 256 x 224 x 224 and other shapes: of the kernel
//                          on the device, of one launch with the host's part, of the copy
//
// Build: nvcc -std=c++20 -O3 --fmad=false -arch=native -Idali_mix/native -Itests/native \
//        bench/kernel/kernel.cu \
//        dali_mix/native/loops/isa_baseline.cc -o kernel
#include <algorithm>
#include <cstdio>
#include <memory>
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
  for (const InType in : {InType::kUint8, InType::kFloat, InType::kHalf}) {
    for (const OutType out : {OutType::kFloat, OutType::kHalf, OutType::kUint8, OutType::kInt8}) {
      for (const auto [c_in, c_out] : channels) {
        for (int layout = 0; layout < 4; layout++) {
          for (const Mix mix : {Mix::kBlend, Mix::kCut, Mix::kNone, Mix::kAll, Mix::kBoxes,
                                Mix::kMask, Mix::kMany}) {
            for (Shape shape : kShapes) {
              // Layers change what shows, not where it lies.
              if (mix >= Mix::kBoxes && shape.margin != 5 && !shape.ragged) {
                continue;
              }
              shape.key = Key(in, out, c_in, c_out, layout & 1, layout & 2);
              shape.mix = mix;
              cases++;
              wrong += !MixBatch(shape).MatchesHost();
            }
          }
        }
      }
    }
  }
  std::printf("%d of %d batches agree with the CPU to the bit\n", cases - wrong, cases);
  return wrong ? 1 : 0;
}

struct Stream {
  Stream() { CHECK_CUDA(cudaStreamCreateWithFlags(&handle, cudaStreamNonBlocking)); }
  ~Stream() { cudaStreamDestroy(handle); }
  Stream(const Stream &) = delete;
  Stream &operator=(const Stream &) = delete;
  cudaStream_t handle;
};

// Median milliseconds of `launch(stream)`, between two events.
template <typename F>
double Time(const Stream &stream, F &&launch, int rounds = 50) {
  cudaEvent_t begin, end;
  CHECK_CUDA(cudaEventCreate(&begin));
  CHECK_CUDA(cudaEventCreate(&end));
  std::vector<float> times;
  for (int i = 0; i < rounds + 5; i++) {
    CHECK_CUDA(cudaEventRecord(begin, stream.handle));
    launch(stream.handle);
    CHECK_CUDA(cudaEventRecord(end, stream.handle));
    CHECK_CUDA(cudaEventSynchronize(end));
    float milliseconds;
    CHECK_CUDA(cudaEventElapsedTime(&milliseconds, begin, end));
    if (i >= 5) {
      times.push_back(milliseconds);
    }
  }
  CHECK_CUDA(cudaEventDestroy(begin));
  CHECK_CUDA(cudaEventDestroy(end));
  std::nth_element(times.begin(), times.begin() + times.size() / 2, times.end());
  return times[times.size() / 2];
}

// Median milliseconds of one of many launches that follow one another on the device, whatever the
// host needs for each: they are recorded before.
template <typename F>
double TimeOnDevice(const Stream &stream, F &&launch) {
  constexpr int kLaunches = 60;
  cudaGraph_t graph;
  cudaGraphExec_t recorded;
  CHECK_CUDA(cudaStreamBeginCapture(stream.handle, cudaStreamCaptureModeThreadLocal));
  for (int i = 0; i < kLaunches; i++) {
    launch(i, stream.handle);
  }
  CHECK_CUDA(cudaStreamEndCapture(stream.handle, &graph));
  CHECK_CUDA(cudaGraphInstantiate(&recorded, graph, 0));
  const auto run = [&](cudaStream_t at) { CHECK_CUDA(cudaGraphLaunch(recorded, at)); };
  const double milliseconds = Time(stream, run, 20) / kLaunches;
  CHECK_CUDA(cudaGraphExecDestroy(recorded));
  CHECK_CUDA(cudaGraphDestroy(graph));
  return milliseconds;
}

struct Timing {
  double mixing, launching, copying;  // milliseconds
  double bytes;
};

// The kernel, one launch with what the host does for it, and a copy on the device that moves as
// many bytes. Batches take turns, so that none finds its images in the L2 cache.
Timing TimeBeside(const Shape &shape) {
  constexpr double kBeyondCache = 200e6;
  std::vector<std::unique_ptr<MixBatch>> batches;
  double footprint = 0;
  while (footprint < kBeyondCache) {
    batches.push_back(std::make_unique<MixBatch>(shape));
    batches.back()->Launch(nullptr);
    footprint += batches.back()->Footprint();
  }
  CHECK_CUDA(cudaDeviceSynchronize());
  const Stream stream;
  const auto mix = [&](int i, cudaStream_t at) { batches[i % batches.size()]->Launch(at); };
  const double bytes = batches[0]->BytesMoved();
  const size_t half = static_cast<size_t>(bytes) / 2;
  const size_t pairs = static_cast<size_t>(kBeyondCache / (2 * half)) + 1;
  const DeviceBytes memory(2 * half * pairs);
  const auto copy = [&](int i, cudaStream_t at) {
    uint8_t *to = memory.data() + 2 * half * (i % pairs);
    CHECK_CUDA(cudaMemcpyAsync(to, to + half, half, cudaMemcpyDeviceToDevice, at));
  };
  int launches = 0;
  const auto one = [&](cudaStream_t at) { mix(launches++, at); };
  return {TimeOnDevice(stream, mix), Time(stream, one), TimeOnDevice(stream, copy), bytes};
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
  for (const auto [count, side] :
       {std::pair{256, 224}, {64, 224}, {32, 224}, {512, 32}, {64, 512}}) {
    for (const auto &[out_name, out] : outs) {
      for (const bool planar : {true, false}) {
        for (const auto &[mix_name, mix] : mixes) {
          for (const bool mirror : {false, true}) {
            for (const bool chained : {false, true}) {
              // Only where two images are read can the order bring them together.
              if (chained && mix != Mix::kBlend) {
                continue;
              }
              const RowsKey key = Key(InType::kUint8, out, 3, 3, true, planar);
              const Timing timing =
                  TimeBeside({key, count, side, side, mix, mirror, 0, false, chained});
              std::fprintf(file,
                           "%s{\"batch\": %d, \"side\": %d, \"dtype\": \"%s\", \"layout\": \"%s\", "
                           "\"mix\": \"%s\", \"mirror\": %s, \"order\": \"%s\", \"ms\": %.5f, "
                           "\"launch_ms\": %.5f, \"copy_ms\": %.5f, \"bytes\": %.0f}",
                           first ? "" : ",\n", count, side, out_name, planar ? "CHW" : "HWC",
                           mix_name, mirror ? "true" : "false", chained ? "chain" : "batch",
                           timing.mixing, timing.launching, timing.copying, timing.bytes);
              first = false;
            }
          }
        }
      }
    }
  }
  std::fprintf(file, "\n]\n");
  return std::fclose(file);
}

}  // namespace

int main(int argc, char **argv) {
  if (argc == 2 && std::string(argv[1]) == "check") {
    return Check();
  }
  if (argc == 3 && std::string(argv[1]) == "time") {
    return TimeAll(argv[2]);
  }
  std::fprintf(stderr, "usage: kernel check | kernel time OUT.json\n");
  return 2;
}
