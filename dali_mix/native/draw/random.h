// Random numbers of the plan. No DALI types but its generator and Beta sampler.
#ifndef DALI_MIX_NATIVE_DRAW_RANDOM_H_
#define DALI_MIX_NATIVE_DRAW_RANDOM_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "dali/operators/random/beta_distribution.h"

namespace dali_mix {

enum class Per { kSample, kPair, kBatch };
// Independent streams of random numbers within the sequence of one sample. Method m draws its
// weights from kMethod + 2m, and the place of its box or mask from kMethod + 2m + 1. kMorePairs is
// for partners after the first.
enum Stream : uint64_t { kPairs = 0, kProb = 1, kChoice = 2, kMethod = 3, kMorePairs = 1 << 20 };

using Rng = dali::Philox4x32_10;

inline double Uniform(Rng &rng) { return rng.next() * 0x1p-32; }  // in [0, 1)
inline double Uniform(Rng &rng, double low, double high) {
  return low + (high - low) * Uniform(rng);
}
inline int UniformInt(Rng &rng, int below) {
  return static_cast<int>((static_cast<uint64_t>(rng.next()) * static_cast<uint64_t>(below)) >> 32);
}
// Standard normal (Box and Muller 1958).
inline double Normal(Rng &rng) {
  const double radius = std::sqrt(-2 * std::log((rng.next() + 1.0) * 0x1p-32));
  return radius * std::cos(2 * M_PI * Uniform(rng));
}
inline double Beta(Rng &rng, double alpha, double beta) {
  return dali::BetaDistributionImpl<double>(alpha, beta).Generate(rng);
}

inline void Shuffle(std::vector<int> &order, Rng &rng) {
  for (int i = static_cast<int>(order.size()) - 1; i > 0; i--) {
    std::swap(order[i], order[UniformInt(rng, i + 1)]);
  }
}

// Index of the weight interval that holds u times the sum.
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
