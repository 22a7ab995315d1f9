// The CUDA kernel alone, without DALI: checked against the portable CPU loop, then timed beside a
// copy on the device that moves as many bytes.
//
//   kernel check [N]       every kind of tile on small batches, inline and uploaded; or one batch
//                          of N, for sanitizers
//   kernel time            milliseconds of the cases below: of the kernel on the device, of one
//                          launch with the host's part, of the copy; a line of JSON each
//   kernel launch CASE     one launch of a case, for a profiler
//
// `bench/gpu.sh build` compiles it.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "check_kernel.cuh"

namespace {

// RGB images of uint8, mirrored in turn, all to CHW but the last.
struct Case {
  const char *name;
  int count, side;
  OutType out;
  Mix mix;
  int margin = 0;  // odd: crops that begin anywhere
  bool planar = true;

  Shape Whole() const {
    return {Key(InType::kUint8, out, 3, 3, true, planar), count, side, side, mix, true, margin};
  }
};

constexpr Case kCases[] = {
    {"unmixed float16", 256, 224, OutType::kHalf, Mix::kNone},
    {"mixup float16", 256, 224, OutType::kHalf, Mix::kBlend},
    {"cutmix float16", 256, 224, OutType::kHalf, Mix::kCut},
    {"unmixed uint8", 256, 224, OutType::kUint8, Mix::kNone},
    {"mixup uint8", 256, 224, OutType::kUint8, Mix::kBlend},
    {"cutmix uint8", 256, 224, OutType::kUint8, Mix::kCut},
    {"mixup float16, uploaded", 257, 224, OutType::kHalf, Mix::kBlend},
    {"mixup float16, odd crops", 256, 224, OutType::kHalf, Mix::kBlend, 5},
    {"mixup float16, 299", 256, 299, OutType::kHalf, Mix::kBlend},
    {"mixup uint8, 299", 256, 299, OutType::kUint8, Mix::kBlend},
    {"mixup float16, 32", 256, 32, OutType::kHalf, Mix::kBlend},
    {"mixup float16, HWC", 256, 224, OutType::kHalf, Mix::kBlend, 0, false},
};

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

// Prints one case in a line of JSON: milliseconds of the kernel, of one launch with what the host
// does for it, and of a copy on the device that moves as many bytes. Batches take turns, so that
// none finds its images in the L2 cache.
void TimeCase(const Case &timed) {
  constexpr double kBeyondCache = 200e6;
  const Shape shape = timed.Whole();
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
  std::printf(
      "{\"case\": \"%s\", \"batch\": %d, \"side\": %d, \"ms\": %.5f, \"launch_ms\": %.5f, "
      "\"copy_ms\": %.5f, \"bytes\": %.0f, \"compulsory_bytes\": %.0f}\n",
      timed.name, shape.count, shape.height, TimeOnDevice(stream, mix), Time(stream, one),
      TimeOnDevice(stream, copy), bytes, batches[0]->CompulsoryBytes());
}

int LaunchOne(const std::string &name) {
  for (const Case &one : kCases) {
    if (one.name == name) {
      MixBatch(one.Whole()).Launch(nullptr);
      CHECK_CUDA(cudaDeviceSynchronize());
      return 0;
    }
  }
  std::fprintf(stderr, "there is no case %s.\n", name.c_str());
  return 2;
}

}  // namespace

int main(int argc, char **argv) {
  const std::string task = argc > 1 ? argv[1] : "";
  if (task == "check" && argc <= 3) {
    return CheckKernel(argc == 3 ? std::max(1, std::atoi(argv[2])) : 1);
  }
  if (task == "time" && argc == 2) {
    for (const Case &timed : kCases) {
      TimeCase(timed);
      std::fflush(stdout);  // who reads it keeps what was measured before a stop
    }
    return 0;
  }
  if (task == "launch" && argc == 3) {
    return LaunchOne(argv[2]);
  }
  std::fprintf(stderr, "usage: kernel check [N] | kernel time | kernel launch CASE\n");
  return 2;
}
