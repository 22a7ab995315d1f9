// Draws the partners of a batch.
#ifndef DALI_MIX_NATIVE_DRAW_PARTNERS_H_
#define DALI_MIX_NATIVE_DRAW_PARTNERS_H_

#include <vector>

#include "core/api.h"
#include "draw/random.h"

namespace dali_mix {

enum class Pairing {
  kDerange,
  kShuffle,
  kReverse,
  kRoll,
  kAspect,
  kSameClass,
  kOtherClass,
  kOthers,
  kGiven
};

inline bool IsByClass(Pairing pairing) {
  return pairing == Pairing::kSameClass || pairing == Pairing::kOtherClass;
}

// What the partners of a batch depend on, besides random numbers.
struct PartnerRules {
  int samples;
  int images;  // number of images that one sample mixes, with its own
  Pairing pairing;
  bool matched;                 // draw disjoint pairs, for "derange" of two images
  std::vector<int> classes;     // [samples], for pairings by class
  std::vector<double> aspects;  // [samples]: height over width, for pairs by aspect
};

// Indices into the batch, or into the others after it: [samples][images - 1].
using Partners = std::vector<std::vector<int>>;

// The partners of one sample differ from each other and, unless by "shuffle", from the sample. If
// the batch has too few images for that, they are repeated in the same order. A sample that finds
// no partner is its own.
DALI_MIX_API Partners DrawPartners(const PartnerRules &rules, const RandomStreams &streams);

}  // namespace dali_mix

#endif  // DALI_MIX_NATIVE_DRAW_PARTNERS_H_
