// Random numbers of the plan, and the partners. No DALI types but its generator and Beta sampler.
#ifndef DALI_MIX_NATIVE_DRAW_H_
#define DALI_MIX_NATIVE_DRAW_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

#include "dali/operators/random/beta_distribution.h"

namespace dali_mix {

enum class Per { kSample, kPair, kBatch };
enum class Pairing {
  kDerange,
  kShuffle,
  kReverse,
  kRoll,
  kSameClass,
  kOtherClass,
  kOthers,
  kGiven
};

// Independent streams of random numbers within the sequence of one sample. Method m draws its
// weights from kMethod + 2m, and the place of its box or mask from kMethod + 2m + 1. The second
// and further partners come from kMorePairs on.
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

// One of the other samples that have the class of sample i, or that have not, each equally likely;
// i itself where there is none.
inline int DrawByClass(const std::vector<int> &classes, int i, bool same, Rng rng) {
  std::vector<int> candidates;
  for (int j = 0; j < static_cast<int>(classes.size()); j++)
    if (j != i && (classes[j] == classes[i]) == same) candidates.push_back(j);
  return candidates.empty() ? i : candidates[UniformInt(rng, static_cast<int>(candidates.size()))];
}

// Partners of a whole batch, for the pairings that do not look at classes.
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
    case Pairing::kOthers:
      for (int &index : partner) index += count;
      break;
    default:
      break;
  }
  return partner;
}

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
