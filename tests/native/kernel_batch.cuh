// A batch for bench/kernel.cu: on the device to be mixed there, and on the host to be compared
// with.
#ifndef DALI_MIX_BENCH_KERNEL_BATCH_CUH_
#define DALI_MIX_BENCH_KERNEL_BATCH_CUH_

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <type_traits>
#include <vector>

#include "kernel/launch.cuh"
#include "loops/dispatch.h"

using namespace dali_mix;

#define CHECK_CUDA(call)                                                                  \
  do {                                                                                    \
    const cudaError_t error = (call);                                                     \
    if (error != cudaSuccess) {                                                           \
      std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, cudaGetErrorString(error)); \
      std::exit(1);                                                                       \
    }                                                                                     \
  } while (0)

inline int BytesOf(OutType type) {
  return type == OutType::kFloat ? 4 : (type == OutType::kHalf ? 2 : 1);
}

// How the samples of a batch are mixed; the last three have layers.
enum class Mix { kBlend, kCut, kNone, kAll, kBoxes, kMask, kMany };

struct Shape {
  RowsKey key;
  int count, height, width;  // of the largest image
  Mix mix;
  bool mirror;
  int margin;           // the images are larger by this much: a crop, and rows that are not aligned
  bool ragged = false;  // images of several sizes, alike in pairs
  bool chained = false;  // each sample is followed by its partner's, rather than in order
};

class DeviceBytes {
 public:
  // To a multiple of 16, as the kernel loads whole chunks.
  explicit DeviceBytes(size_t size) { CHECK_CUDA(cudaMalloc(&data_, size / 16 * 16 + 16)); }
  ~DeviceBytes() { cudaFree(data_); }
  DeviceBytes(const DeviceBytes &) = delete;
  DeviceBytes &operator=(const DeviceBytes &) = delete;
  uint8_t *data() const { return data_; }

 private:
  uint8_t *data_ = nullptr;
};

class MixBatch {
 public:
  explicit MixBatch(const Shape &shape);

  // The first one uploads what does not fit into the parameters.
  void Launch(cudaStream_t stream);
  bool MatchesHost();
  // Each image read once where it shows, the output written once; without layers.
  double BytesMoved() const;
  // The same where a cache keeps an image that shows in two samples.
  double CompulsoryBytes() const { return BytesFor(1); }
  // Of the buffers on the device.
  double Footprint() const { return 1.0 * images_.size() + out_bytes_ * shape_.count; }

 private:
  static constexpr int kImages = 3;  // in a sample of kMany
  // Where the buffers lie: on the device or on the host.
  struct Buffers {
    uint8_t *images, *masks, *outs;
  };
  // Samples in the order of the launch, and what they point to.
  struct Samples {
    std::vector<Sample> samples;
    std::vector<Layers> layers;
    std::vector<Bytes> bytes;
  };

  int Height(int i) const { return std::max(1, shape_.height - (shape_.ragged ? i / 2 % 3 : 0)); }
  int Width(int i) const { return std::max(1, shape_.width - (shape_.ragged ? i / 2 % 5 : 0)); }
  int Partner(int i) const;
  bool Layered() const { return shape_.mix >= Mix::kBoxes; }
  int Images() const { return shape_.mix == Mix::kMany ? kImages : 2; }
  double BytesFor(double images) const;
  Box CutBox(int i) const;
  Source MakeSource(int i, uint8_t *images) const;
  Sample MakeSample(int i, const Buffers &buffers) const;
  Layers MakeLayers(int i, const Buffers &buffers) const;
  Samples MakeSamples(const Buffers &buffers) const;
  void DrawImages();
  Call MakeCall() const;

  Shape shape_;
  size_t image_bytes_, mask_bytes_, out_bytes_;
  std::vector<uint8_t> images_, masks_;
  std::vector<int> order_;
  std::vector<Single> singles_;
  std::vector<double> factors_;
  std::vector<float> weights_;
  std::unique_ptr<DeviceBytes> d_images_, d_masks_, d_outs_, d_arguments_;
  UploadedBatch uploaded_;
  Samples d_samples_;
};

inline MixBatch::MixBatch(const Shape &shape) : shape_(shape) {
  const RowsKey &key = shape.key;
  const size_t area = static_cast<size_t>(shape.height) * shape.width;
  const size_t full =
      static_cast<size_t>(shape.height + shape.margin) * (shape.width + shape.margin);
  image_bytes_ = full * key.channels * SizeOf(key.in);
  mask_bytes_ = area;
  out_bytes_ = area * key.out_channels * BytesOf(key.out);
  DrawImages();
  std::vector<bool> seen(shape.count);
  for (int i = 0; i < shape.count; i++) {
    for (int k = i; !seen[k]; k = shape.chained ? Partner(k) : k) {
      seen[k] = true;
      order_.push_back(k);
    }
  }
  for (int c = 0; c < key.channels; c++) {
    const Normalization normalization(116.0 + c, 57.0 + c, 1.0, 0.0);
    singles_.push_back(normalization.ForSingle());
    factors_.push_back(normalization.k);
  }
  for (int i = 0; i < shape.count * key.channels; i++) {
    const Blend blend = BlendOf(1 / 57.0, 0.1 + 0.8 * (i % 97) / 97);
    weights_.insert(weights_.end(), {blend.own, blend.partner});
    if (Images() > 2) {
      weights_.push_back(blend.own / 2);
    }
  }
  d_images_ = std::make_unique<DeviceBytes>(images_.size());
  d_masks_ = std::make_unique<DeviceBytes>(masks_.size());
  d_outs_ = std::make_unique<DeviceBytes>(out_bytes_ * shape.count);
  CHECK_CUDA(cudaMemcpy(d_images_->data(), images_.data(), images_.size(), cudaMemcpyHostToDevice));
  CHECK_CUDA(cudaMemcpy(d_masks_->data(), masks_.data(), masks_.size(), cudaMemcpyHostToDevice));
  d_samples_ = MakeSamples({d_images_->data(), d_masks_->data(), d_outs_->data()});
}

inline void MixBatch::DrawImages() {
  const InType in = shape_.key.in;
  std::mt19937_64 random(1);
  images_.resize(image_bytes_ * shape_.count);
  for (size_t i = 0; in == InType::kUint8 && i < images_.size(); i += 8) {
    const uint64_t eight = random();
    std::memcpy(&images_[i], &eight, std::min<size_t>(8, images_.size() - i));
  }
  for (size_t i = 0; in != InType::kUint8 && i < images_.size(); i += SizeOf(in)) {
    const float real = static_cast<uint8_t>(random());
    const Half half = FloatToHalfSoft(real);
    if (in == InType::kFloat) {
      std::memcpy(&images_[i], &real, 4);
    }
    if (in == InType::kHalf) {
      std::memcpy(&images_[i], &half, 2);
    }
  }
  // Runs of one image, of the other, and of soft values, each a tile or so long.
  masks_.resize(Layered() ? mask_bytes_ * shape_.count : 0);
  for (size_t i = 0; i < masks_.size(); i++) {
    masks_[i] = i / 19 % 4 == 0 ? 0 : (i / 19 % 4 == 1 ? random() % 256 : 255);
  }
}

// Half the batch away: the partner is not in a cache because its neighbour just was.
inline int MixBatch::Partner(int i) const {
  if (shape_.ragged) {
    return (i ^ 1) < shape_.count ? i ^ 1 : i;
  }
  return (i + (shape_.count + 1) / 2) % shape_.count;
}

inline Box MixBatch::CutBox(int i) const {
  const int height = Height(i), width = Width(i);
  return {height / 5, width / 7, height * 4 / 5, width * 5 / 7 + 1};
}

inline Source MixBatch::MakeSource(int i, uint8_t *images) const {
  const RowsKey &key = shape_.key;
  const int full_width = Width(i) + shape_.margin, full_height = Height(i) + shape_.margin;
  const int column = key.interleaved ? key.channels : 1;
  const bool mirrored = shape_.mirror && i % 2 == 0;
  const int y = shape_.margin / 2, x = shape_.margin / 2 + (mirrored ? Width(i) - 1 : 0);
  const size_t first = (static_cast<size_t>(y) * full_width + x) * column;
  return {images + image_bytes_ * i + first * SizeOf(key.in), full_width * column,
          mirrored ? -column : column, key.interleaved ? 1 : full_width * full_height};
}

inline Sample MixBatch::MakeSample(int i, const Buffers &buffers) const {
  Sample sample = {};
  sample.out = buffers.outs + out_bytes_ * i;
  sample.own = MakeSource(i, buffers.images);
  sample.partner = MakeSource(Partner(i), buffers.images);
  sample.height = Height(i);
  sample.width = Width(i);
  sample.plane = sample.height * sample.width;
  sample.outside = Shows::kOwn;
  if (shape_.mix == Mix::kBlend || shape_.mix == Mix::kMany) {
    sample.outside = Shows::kBlend;
  }
  if (shape_.mix == Mix::kAll) {
    sample.outside = Shows::kPartner;
  }
  if (shape_.mix == Mix::kCut || shape_.mix == Mix::kBoxes) {
    sample.box = CutBox(i);
  }
  sample.layers = Layered() ? i : -1;
  return sample;
}

inline Layers MixBatch::MakeLayers(int i, const Buffers &buffers) const {
  Layers layers = {};
  layers.image_count = Images();
  layers.images[0] = MakeSource(i, buffers.images);
  layers.blend = 1;
  if (shape_.mix == Mix::kMask) {
    layers.mask = {buffers.masks + mask_bytes_ * i, (Height(i) + 1) / 2, Width(i)};
  }
  if (shape_.mix != Mix::kBoxes) {
    return layers;
  }
  layers.box_count = 2;
  layers.boxes[0] = {0, 0, (Height(i) + 1) / 2, (Width(i) + 2) / 3};
  layers.shows[0] = layers.shows[1] = 1;
  return layers;
}

inline MixBatch::Samples MixBatch::MakeSamples(const Buffers &buffers) const {
  Samples made;
  for (const int i : order_) {
    made.samples.push_back(MakeSample(i, buffers));
  }
  for (int i = 0; Layered() && i < shape_.count; i++) {
    made.layers.push_back(MakeLayers(i, buffers));
  }
  const auto append = [&](int image) {
    const uint8_t *begin = buffers.images + image_bytes_ * image;
    made.bytes.push_back({begin, begin + image_bytes_});
  };
  for (const int i : order_) {
    append(i);
    append(Partner(i));
    if (Images() > 2) {
      append(i);
    }
  }
  return made;
}

inline Call MixBatch::MakeCall() const {
  Call call = {};
  call.channels = shape_.key.channels;
  call.out_channels = shape_.key.out_channels;
  call.images = Images();
  call.planar = shape_.key.planar;
  return call;
}

inline void MixBatch::Launch(cudaStream_t stream) {
  const auto upload = [&](const HostBatch &batch, const std::vector<Work> &work) -> UploadedBatch {
    if (d_arguments_) {
      return uploaded_;
    }
    const auto size = [](const auto &values) {
      return (values.size() * sizeof(values[0]) + 15) & ~15;
    };
    d_arguments_ = std::make_unique<DeviceBytes>(size(batch.samples) + size(work) +
                                                 size(batch.layers) + size(batch.singles) +
                                                 size(batch.factors) + size(batch.weights));
    size_t used = 0;
    const auto copy = [&](const auto &values, auto *&pointer) {
      uint8_t *at = d_arguments_->data() + used;
      CHECK_CUDA(cudaMemcpyAsync(at, values.data(), values.size() * sizeof(values[0]),
                                 cudaMemcpyHostToDevice, stream));
      pointer = reinterpret_cast<std::remove_reference_t<decltype(pointer)>>(at);
      used += size(values);
    };
    UploadedBatch device = {batch.call, {}, nullptr};
    copy(batch.samples, device.samples);
    copy(work, device.schedule.work);
    copy(batch.layers, device.call.layers);
    copy(batch.singles, device.call.singles);
    copy(batch.factors, device.call.factors);
    copy(batch.weights, device.call.weights);
    return uploaded_ = device;
  };
  LaunchMix(shape_.key,
            {MakeCall(), d_samples_.samples, d_samples_.layers, singles_, factors_, weights_},
            stream, upload);
  CHECK_CUDA(cudaGetLastError());
}

inline bool MixBatch::MatchesHost() {
  CHECK_CUDA(cudaMemset(d_outs_->data(), 0xa5, out_bytes_ * shape_.count));
  Launch(nullptr);
  std::vector<uint8_t> actual(out_bytes_ * shape_.count), expected(actual.size(), 0xa5);
  CHECK_CUDA(cudaMemcpy(actual.data(), d_outs_->data(), actual.size(), cudaMemcpyDeviceToHost));
  const Samples host = MakeSamples({images_.data(), masks_.data(), expected.data()});
  Call call = MakeCall();
  call.singles = singles_.data();
  call.factors = factors_.data();
  call.weights = weights_.data();
  const RowsFn rows = RowsBaseline(shape_.key);
  for (int i = 0; i < shape_.count; i++) {
    CpuSample sample;
    static_cast<Sample &>(sample) = host.samples[i];
    sample.more = sample.layers < 0 ? nullptr : &host.layers[sample.layers];
    sample.bytes = &host.bytes[static_cast<size_t>(i) * Images()];
    sample.index = i;
    rows(call, sample, 0, sample.height);
  }
  return actual == expected;
}

// `images` that are read for one output.
inline double MixBatch::BytesFor(double images) const {
  double pixels = 0;
  for (int i = 0; i < shape_.count; i++) {
    pixels += static_cast<double>(Height(i)) * Width(i);
  }
  return pixels * (images * shape_.key.channels * SizeOf(shape_.key.in) +
                   shape_.key.out_channels * BytesOf(shape_.key.out));
}

inline double MixBatch::BytesMoved() const { return BytesFor(shape_.mix == Mix::kBlend ? 2 : 1); }

#endif  // DALI_MIX_BENCH_KERNEL_BATCH_CUH_
