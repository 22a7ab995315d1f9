// Random batches for the CPU loops: every kind of sample that apply makes, its images, masks and
// outputs in blocks of exactly their size, so that any access beyond is noticed.
#ifndef DALI_MIX_TESTS_RANDOM_BATCH_H_
#define DALI_MIX_TESTS_RANDOM_BATCH_H_

#include <deque>
#include <optional>
#include <random>
#include <vector>

#include "loops/dispatch.h"

namespace dali_mix {

// A fault to plant, which a sanitizer must notice: images that lack their last value, rows that two
// threads write, images at odd addresses.
enum class Plant { kNone, kRead, kRace, kAlign };

class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}
  int In(int low, int high) { return std::uniform_int_distribution<int>(low, high)(engine_); }
  bool Chance(double p) { return std::bernoulli_distribution(p)(engine_); }
  double Real(double low, double high) {
    return std::uniform_real_distribution<double>(low, high)(engine_);
  }

 private:
  std::mt19937_64 engine_;
};

// Memory of exactly some size: of the heap, for sanitizers; or, if `guarded`, beside a page that
// must not be touched, before it and behind it by turns.
struct Block {
  static inline bool guarded = false;

  explicit Block(size_t size);
  ~Block();
  Block(const Block &) = delete;
  Block &operator=(const Block &) = delete;

  const size_t size;
  uint8_t *data;

 private:
  uint8_t *mapped_ = nullptr;
  size_t bytes_ = 0;
};

inline int SizeOf(OutType out, InType in) {
  switch (out) {
    case OutType::kFloat:
      return 4;
    case OutType::kHalf:
      return 2;
    case OutType::kCopied:
      return SizeOf(in);
    default:
      return 1;
  }
}

// What of a batch need not be random.
struct Given {
  RowsKey key;
  int width, most_rows;
};

// All samples of one call of apply. What points into it stays where it is: do not copy.
class RandomBatch {
 public:
  RandomBatch(uint64_t seed, Plant plant, std::optional<Given> given = {});
  RandomBatch(const RandomBatch &) = delete;
  RandomBatch &operator=(const RandomBatch &) = delete;

  const RowsKey &key() const { return key_; }
  const Call &call() const { return call_; }
  const std::vector<CpuSample> &samples() const { return samples_; }
  void ClearOutputs(uint8_t fill) {
    for (Block &out : outputs_) {
      std::memset(out.data, fill, out.size);
    }
  }

 private:
  // The images of one sample and what shows of them, before there are addresses.
  struct Mix {
    int images = 2;
    float weights[kMaxImages] = {1};
    int boxes = 0;
    Box box[kMaxBoxes] = {};
    int shows[kMaxBoxes] = {};
    bool blends_inside = false;  // the boxes show the blend
    int copied = 0;
    bool masked = false;
    Shows outside = Shows::kOwn;
  };
  // An image, and how all samples see it.
  struct Image {
    const Block *block;
    Source source;  // of frame 0
    int frame;      // from one to the next, in values
  };

  void DrawKey();
  void DrawCoefficients();
  Mix DrawMix();
  void DrawWeights(Mix &mix);
  Box DrawBox();
  Image DrawImage(const Box &seen);
  void FillValues(Block &block);
  Mask DrawMask();
  void AddSample(int i);
  void AddFrame(const Mix &mix, const Image *images, const Mask &mask, uint8_t *out, int plane,
                int frame);

  Random random_;
  Plant plant_;
  RowsKey key_;
  Call call_;
  int count_, frames_, height_, width_;
  std::vector<Single> singles_;
  std::vector<double> factors_;
  std::vector<float> weights_;
  std::deque<Block> inputs_, outputs_;
  std::vector<Image> shared_;            // images that any sample of the batch may show
  std::deque<Layers> layers_;            // of some samples
  std::deque<Bytes[kMaxImages]> bytes_;  // of each sample
  std::vector<CpuSample> samples_;
};

}  // namespace dali_mix

#endif  // DALI_MIX_TESTS_RANDOM_BATCH_H_
