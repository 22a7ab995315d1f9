// The interface of a random generator for the draw, and numbers of other laws made from it.
#ifndef DALI_MIX_NATIVE_DRAW_RANDOM_H_
#define DALI_MIX_NATIVE_DRAW_RANDOM_H_

#include <cmath>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace dali_mix {

// One stream of random numbers.
class Random {
 public:
  virtual ~Random() = default;
  virtual uint32_t Next() = 0;
  virtual double Beta(double alpha, double beta) = 0;
};

// The random numbers of one sample have independent streams. Method m draws its weights from stream
// kMethod + 2m, and the place of its box or mask from kMethod + 2m + 1. kMorePairs is for partners
// after the first.
enum Stream : uint64_t { kPairs = 0, kProb = 1, kChoice = 2, kMethod = 3, kMorePairs = 1 << 20 };

// The random numbers of a batch. Opening a stream of a sample twice gives the same numbers.
class RandomStreams {
 public:
  virtual ~RandomStreams() = default;
  virtual std::unique_ptr<Random> Open(int sample, uint64_t stream) const = 0;
};

// In [0, 1).
inline double Uniform(Random &random) { return random.Next() * 0x1p-32; }

inline double Uniform(Random &random, double low, double high) {
  return low + (high - low) * Uniform(random);
}

inline int UniformInt(Random &random, int below) {
  const uint64_t scaled = static_cast<uint64_t>(random.Next()) * static_cast<uint64_t>(below);
  return static_cast<int>(scaled >> 32);
}

// Standard normal (Box and Muller 1958).
inline double Normal(Random &random) {
  const double radius = std::sqrt(-2 * std::log((random.Next() + 1.0) * 0x1p-32));
  return radius * std::cos(2 * M_PI * Uniform(random));
}

inline void Shuffle(std::vector<int> &order, Random &random) {
  for (int i = static_cast<int>(order.size()) - 1; i > 0; i--) {
    std::swap(order[i], order[UniformInt(random, i + 1)]);
  }
}

// Chooses an index by its weight. `u` is uniform in [0, 1).
inline int Choose(const float *weights, int count, double u) {
  double sum = 0;
  for (int m = 0; m < count; m++) {
    sum += weights[m];
  }
  double rest = u * sum;
  int last = 0;
  for (int m = 0; m < count; m++) {
    if (weights[m] <= 0) {
      continue;
    }
    last = m;
    rest -= weights[m];
    if (rest < 0) {
      break;
    }
  }
  return last;
}

}  // namespace dali_mix

#endif  // DALI_MIX_NATIVE_DRAW_RANDOM_H_
