// Which images are mixed into which: the partners of a batch.
#ifndef DALI_MIX_NATIVE_DRAW_PARTNERS_H_
#define DALI_MIX_NATIVE_DRAW_PARTNERS_H_

#include <vector>

#include "draw/random.h"

namespace dali_mix {

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

// What the partners of a batch depend on, besides random numbers.
struct PartnerRules {
  int samples;
  int images;  // mixed in one sample, the own among them
  Pairing pairing;
  bool matched;              // disjoint pairs, for "derange" of two images
  std::vector<int> classes;  // [samples], for pairings by class
};

// Indices into the batch, or into the others behind it: [samples][images - 1].
using Partners = std::vector<std::vector<int>>;

// The partners of one sample differ from each other and, but by "shuffle", from the sample itself,
// as far as the batch has images for that. Where it has fewer they come again in the same order; a
// sample without any partner is its own.
Partners DrawPartners(const PartnerRules &rules, const RandomStreams &streams);

}  // namespace dali_mix

#endif  // DALI_MIX_NATIVE_DRAW_PARTNERS_H_
