// Which images are mixed in each sample, and how: the plan of a call of apply, checked against its
// images.
#ifndef DALI_MIX_NATIVE_CORE_MIXES_H_
#define DALI_MIX_NATIVE_CORE_MIXES_H_

#include <vector>

#include "core/images.h"

namespace dali_mix {

// How one sample is mixed. What does not show is left out.
struct SampleMix : MixedSample {
  bool masked;
  Shows outside;
};

// `copied`: of maps, which are never blended, the image that shows in place of a blend; -1: images.
// `frames_axis`: the letter of the frames in a layout, for the words of a refusal.
std::vector<SampleMix> MixSamples(const PlanColumns &plan, const Images &images, int copied,
                                  char frames_axis);

}  // namespace dali_mix

#endif  // DALI_MIX_NATIVE_CORE_MIXES_H_
