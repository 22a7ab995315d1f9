// The CUDA kernel alone, without DALI: checked against the portable CPU loop, then timed beside a
// copy on the device that moves as many bytes.
//
//   kernel check           every kind of tile on small batches, inline and uploaded; for sanitizers
//   kernel time OUT.json   milliseconds and GB/s at batch 256 x 224 x 224 and other shapes
//
// Build: nvcc -std=c++20 -O3 --fmad=false -arch=native -Idali_mix/native bench/kernel.cu \
//        dali_mix/native/rows_baseline.cc -o kernel
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>

#include "launch.cuh"

using namespace dali_mix;

#define CHECK_CUDA(call)                                                                  \
  do {                                                                                    \
    const cudaError_t error = (call);                                                     \
    if (error != cudaSuccess) {                                                           \
      std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, cudaGetErrorString(error)); \
      std::exit(1);                                                                       \
    }                                                                                     \
  } while (0)

namespace {

int BytesOf(OutType type) { return type == OutType::kFloat ? 4 : (type == OutType::kHalf ? 2 : 1); }

// How the samples of a batch are mixed.
enum class Mix { kBlend, kCut, kNone, kAll };

struct Shape {
  RowsKey key;
  int count, height, width;
  Mix mix;
  bool mirror;
  int margin;  // the images are larger by this much: a crop, and rows that are not aligned
};

// A batch on the device, and the same on the host for the check.
class Batch {
 public:
  explicit Batch(const Shape &shape);
  ~Batch();
  Batch(const Batch &) = delete;
  Batch &operator=(const Batch &) = delete;

  void Launch(cudaStream_t stream);
  bool MatchesHost();
  double BytesMoved() const;

 private:
  Sample MakeSample(int i, uint8_t *images, uint8_t *outs) const;
  Source MakeSource(int i, uint8_t *images) const;
  Call MakeCall() const {
    const RowsKey &key = shape_.key;
    return {nullptr, nullptr, nullptr, nullptr, key.channels, key.out_channels, 2, -1, key.planar};
  }

  Shape shape_;
  size_t image_bytes_, out_bytes_;
  std::vector<uint8_t> images_;
  uint8_t *d_images_ = nullptr, *d_outs_ = nullptr, *d_arguments_ = nullptr;
  std::vector<Single> singles_;
  std::vector<float> weights_;
  std::vector<Sample> samples_;
};

Batch::Batch(const Shape &shape) : shape_(shape) {
  const RowsKey &key = shape.key;
  const size_t area =
      static_cast<size_t>(shape.height + shape.margin) * (shape.width + shape.margin);
  image_bytes_ = area * key.channels * SizeOf(key.in);
  out_bytes_ =
      static_cast<size_t>(shape.height) * shape.width * key.out_channels * BytesOf(key.out);
  std::mt19937 random(1);
  images_.resize(image_bytes_ * shape.count);
  for (size_t i = 0; i < images_.size(); i += SizeOf(key.in)) {
    const uint8_t value = static_cast<uint8_t>(random());
    const float real = value;
    const Half half = FloatToHalfSoft(real);
    if (key.in == InType::kUint8) images_[i] = value;
    if (key.in == InType::kFloat) std::memcpy(&images_[i], &real, 4);
    if (key.in == InType::kHalf) std::memcpy(&images_[i], &half, 2);
  }
  CHECK_CUDA(cudaMalloc(&d_images_, images_.size()));
  CHECK_CUDA(cudaMalloc(&d_outs_, out_bytes_ * shape.count));
  CHECK_CUDA(cudaMemcpy(d_images_, images_.data(), images_.size(), cudaMemcpyHostToDevice));
  for (int c = 0; c < key.channels; c++)
    singles_.push_back(Normalization(116.0 + c, 57.0 + c, 1.0, 0.0).ForSingle());
  for (int i = 0; i < shape.count * key.channels; i++) {
    const Blend blend = BlendOf(1 / 57.0, 0.1 + 0.8 * (i % 97) / 97);
    weights_.insert(weights_.end(), {blend.own, blend.partner});
  }
  for (int i = 0; i < shape.count; i++) samples_.push_back(MakeSample(i, d_images_, d_outs_));
}

Batch::~Batch() {
  cudaFree(d_images_);
  cudaFree(d_outs_);
  cudaFree(d_arguments_);
}

Source Batch::MakeSource(int i, uint8_t *images) const {
  const RowsKey &key = shape_.key;
  const int full_width = shape_.width + shape_.margin, full_height = shape_.height + shape_.margin;
  const int column = key.interleaved ? key.channels : 1;
  const bool mirrored = shape_.mirror && i % 2 == 0;
  const int y = shape_.margin / 2, x = shape_.margin / 2 + (mirrored ? shape_.width - 1 : 0);
  const size_t first = (static_cast<size_t>(y) * full_width + x) * column;
  return {images + image_bytes_ * i + first * SizeOf(key.in), full_width * column,
          mirrored ? -column : column, key.interleaved ? 1 : full_width * full_height};
}

Sample Batch::MakeSample(int i, uint8_t *images, uint8_t *outs) const {
  // Half the batch away: the partner is not in a cache because its neighbour just was.
  const int partner = (i + (shape_.count + 1) / 2) % shape_.count;
  Box box = {};
  Shows outside = Shows::kOwn;
  if (shape_.mix == Mix::kBlend) outside = Shows::kBlend;
  if (shape_.mix == Mix::kAll) outside = Shows::kPartner;
  if (shape_.mix == Mix::kCut)
    box = {shape_.height / 5, shape_.width / 7, shape_.height * 4 / 5, shape_.width * 5 / 7 + 1};
  return {outs + out_bytes_ * i,
          MakeSource(i, images),
          MakeSource(partner, images),
          shape_.height,
          shape_.width,
          shape_.height * shape_.width,
          box,
          outside,
          -1};
}

void Batch::Launch(cudaStream_t stream) {
  const RowsKey &key = shape_.key;
  const Call call = MakeCall();
  const auto upload = [&](const HostBatch &batch) -> UploadedBatch {
    const size_t samples = batch.samples.size() * sizeof(Sample);
    const size_t singles = batch.singles.size() * sizeof(Single);
    const size_t weights = batch.weights.size() * sizeof(float);
    if (!d_arguments_) CHECK_CUDA(cudaMalloc(&d_arguments_, samples + singles + weights));
    const auto copy = [&](size_t at, const void *from, size_t bytes) {
      CHECK_CUDA(cudaMemcpyAsync(d_arguments_ + at, from, bytes, cudaMemcpyHostToDevice, stream));
    };
    copy(0, batch.samples.data(), samples);
    copy(samples, batch.singles.data(), singles);
    copy(samples + singles, batch.weights.data(), weights);
    Call device_call = batch.call;
    device_call.singles = reinterpret_cast<const Single *>(d_arguments_ + samples);
    device_call.weights = reinterpret_cast<const float *>(d_arguments_ + samples + singles);
    return {device_call, reinterpret_cast<const Sample *>(d_arguments_)};
  };
  const std::vector<Layers> layers;
  const std::vector<double> factors;
  LaunchMix(key, {call, samples_, layers, singles_, factors, weights_}, stream, upload);
  CHECK_CUDA(cudaGetLastError());
}

bool Batch::MatchesHost() {
  CHECK_CUDA(cudaMemset(d_outs_, 0xa5, out_bytes_ * shape_.count));
  Launch(nullptr);
  std::vector<uint8_t> actual(out_bytes_ * shape_.count), expected(actual.size());
  CHECK_CUDA(cudaMemcpy(actual.data(), d_outs_, actual.size(), cudaMemcpyDeviceToHost));
  Call call = MakeCall();
  call.singles = singles_.data();
  call.weights = weights_.data();
  const RowsFn rows = RowsBaseline(shape_.key);
  for (int i = 0; i < shape_.count; i++) {
    CpuSample sample;
    static_cast<Sample &>(sample) = MakeSample(i, images_.data(), expected.data());
    sample.more = nullptr;
    sample.index = i;
    rows(call, sample, 0, shape_.height);
  }
  return actual == expected;
}

// Own and partner read once each, the output written once.
double Batch::BytesMoved() const {
  const double pixels = static_cast<double>(shape_.count) * shape_.height * shape_.width;
  const int images = shape_.mix == Mix::kBlend ? 2 : 1;
  return pixels * (images * shape_.key.channels * SizeOf(shape_.key.in) +
                   shape_.key.out_channels * BytesOf(shape_.key.out));
}

RowsKey Key(InType in, OutType out, int channels, int out_channels, bool interleaved, bool planar) {
  return {in, out, channels, out_channels, interleaved, planar, false};
}

int Check() {
  int cases = 0, wrong = 0;
  const int channels[][2] = {{1, 1}, {3, 3}, {3, 4}, {4, 4}, {5, 5}};
  for (const InType in : {InType::kUint8, InType::kFloat, InType::kHalf})
    for (const OutType out : {OutType::kFloat, OutType::kHalf, OutType::kUint8, OutType::kInt8})
      for (const auto [c_in, c_out] : channels)
        for (int layout = 0; layout < 4; layout++)
          for (const Mix mix : {Mix::kBlend, Mix::kCut, Mix::kNone, Mix::kAll})
            for (const auto [height, width, margin, count] :
                 {std::array{9, 32, 0, 3}, std::array{7, 37, 5, 4}, std::array{2, 3, 1, 260}}) {
              Batch batch({Key(in, out, c_in, c_out, layout & 1, layout & 2), count, height, width,
                           mix, true, margin});
              cases++;
              wrong += !batch.MatchesHost();
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
  const std::pair<const char *, Mix> mixes[] = {
      {"mixup", Mix::kBlend}, {"cutmix", Mix::kCut}, {"unmixed", Mix::kNone}};
  for (const auto [count, side] : {std::pair{256, 224}, {64, 224}, {32, 224}, {512, 32}, {64, 512}})
    for (const auto &[out_name, out] : outs)
      for (const bool planar : {true, false})
        for (const auto &[mix_name, mix] : mixes)
          for (const bool mirror : {false, true}) {
            Batch batch(
                {Key(InType::kUint8, out, 3, 3, true, planar), count, side, side, mix, mirror, 0});
            const double bytes = batch.BytesMoved();
            uint8_t *copy;
            CHECK_CUDA(cudaMalloc(&copy, static_cast<size_t>(bytes)));
            const size_t half = static_cast<size_t>(bytes) / 2;
            const double mixing = Time([&] { batch.Launch(nullptr); });
            const double copying = Time([&] {
              CHECK_CUDA(cudaMemcpyAsync(copy, copy + half, half, cudaMemcpyDeviceToDevice));
            });
            CHECK_CUDA(cudaFree(copy));
            std::fprintf(file,
                         "%s{\"batch\": %d, \"side\": %d, \"dtype\": \"%s\", \"layout\": \"%s\", "
                         "\"mix\": \"%s\", \"mirror\": %s, \"ms\": %.5f, \"copy_ms\": %.5f, "
                         "\"bytes\": %.0f}",
                         first ? "" : ",\n", count, side, out_name, planar ? "CHW" : "HWC",
                         mix_name, mirror ? "true" : "false", mixing, copying, bytes);
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
