// The draw: everything random about one batch, as a pure function of the random state, the batch
// size and the arguments. No DALI types but its Beta sampler; no pixels.
//
// More than two images in one sample will widen the columns (K-1 partners, K weights, K-1 boxes)
// and leave these, the columns for K = 2, as they are.
#ifndef DALI_MIX_NATIVE_DRAW_H_
#define DALI_MIX_NATIVE_DRAW_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

#include "dali/operators/random/beta_distribution.h"
#include "sample.h"

namespace dali_mix {

enum class Method { kMixUp, kCutMix };
enum class Per { kSample, kPair, kBatch };
enum class Pairing { kDerange, kShuffle, kReverse, kRoll, kGiven };

// Independent streams of random numbers within the sequence of one sample. The methods come last:
// method m draws its weight from kMethod + 2m and its box from kMethod + 2m + 1.
enum Stream : uint64_t { kPairs = 0, kProb = 1, kChoice = 2, kMethod = 3 };

using Rng = dali::Philox4x32_10;

inline double Uniform(Rng &rng) { return rng.next() * 0x1p-32; }  // in [0, 1)
inline int UniformInt(Rng &rng, int below) {
  return static_cast<int>((static_cast<uint64_t>(rng.next()) * static_cast<uint64_t>(below)) >> 32);
}

inline void Shuffle(std::vector<int> &order, Rng &rng) {
  for (int i = static_cast<int>(order.size()) - 1; i > 0; i--)
    std::swap(order[i], order[UniformInt(rng, i + 1)]);
}

// A permutation without fixed points, each equally likely: shuffles until one has none (2.7 tries
// on average for any size from 2).
inline void Derange(std::vector<int> &order, Rng &rng) {
  if (order.size() < 2) return;
  const auto has_fixed_point = [&order] {
    for (size_t i = 0; i < order.size(); i++)
      if (order[i] == static_cast<int>(i)) return true;
    return false;
  };
  do {
    Shuffle(order, rng);
  } while (has_fixed_point());
}

// Disjoint pairs, each matching equally likely; the odd one keeps itself.
inline void Match(std::vector<int> &partner, Rng &rng) {
  std::vector<int> order = partner;
  Shuffle(order, rng);
  for (size_t i = 0; i + 1 < order.size(); i += 2) {
    partner[order[i]] = order[i + 1];
    partner[order[i + 1]] = order[i];
  }
}

inline std::vector<int> DrawPartners(int count, Pairing pairing, Per per, Rng rng) {
  std::vector<int> partner(count);
  std::iota(partner.begin(), partner.end(), 0);
  switch (pairing) {
    case Pairing::kDerange:
      per == Per::kPair ? Match(partner, rng) : Derange(partner, rng);
      break;
    case Pairing::kShuffle:
      Shuffle(partner, rng);
      break;
    case Pairing::kReverse:
      std::reverse(partner.begin(), partner.end());
      break;
    case Pairing::kRoll:  // the image before, as torchvision and FFCV pair
      if (count > 0) std::rotate(partner.begin(), partner.end() - 1, partner.end());
      break;
    case Pairing::kGiven:
      break;
  }
  return partner;
}

// Own share before counting: Beta(alpha, alpha), folded to [0.5, 1] on request. alpha 0 is off.
inline float DrawLam(double alpha, bool fold, Rng rng) {
  if (alpha == 0) return 1.0f;
  double t = dali::BetaDistributionImpl<double>(alpha, alpha).Generate(rng);
  if (fold) t = std::max(t, 1.0 - t);
  return static_cast<float>(t);
}

// The law of the CutMix paper (Yun et al. 2019, eq. 2): sides sqrt(1 - lam) of the image's, rounded
// down, centre uniform over the pixels, clipped to the image. A side s covers [c - s/2, c +
// (s+1)/2) with s/2 rounded down, so that odd sides are exact.
inline Box DrawBox(float lam, int height, int width, Rng rng) {
  const double ratio = std::sqrt(1.0 - static_cast<double>(lam));
  const int box_height = static_cast<int>(height * ratio);
  const int box_width = static_cast<int>(width * ratio);
  const int y = UniformInt(rng, height), x = UniformInt(rng, width);
  const Box box = {std::max(y - box_height / 2, 0), std::max(x - box_width / 2, 0),
                   std::min(y + (box_height + 1) / 2, height),
                   std::min(x + (box_width + 1) / 2, width)};
  return box.Empty() ? Box{} : box;
}

// The exact share of own pixels.
inline float CountLam(const Box &box, int height, int width) {
  if (box.Empty()) return 1.0f;
  const double area = static_cast<double>(box.y1 - box.y0) * (box.x1 - box.x0);
  return static_cast<float>(1.0 - area / (static_cast<double>(height) * width));
}

struct DrawnSample {
  float blend = 1.0f;
  Box box = {};
  float lam = 1.0f;
};

// Index of the weight interval that holds u times the sum.
inline int Choose(const float *weights, int count, double u) {
  double sum = 0;
  for (int m = 0; m < count; m++) sum += weights[m];
  double rest = u * sum;
  int last = 0;
  for (int m = 0; m < count; m++) {
    if (weights[m] <= 0) continue;
    last = m;
    rest -= weights[m];
    if (rest < 0) break;
  }
  return last;
}

}  // namespace dali_mix

#endif  // DALI_MIX_NATIVE_DRAW_H_
