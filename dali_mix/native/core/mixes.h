// The plan of a call of apply, checked against its images.
#ifndef DALI_MIX_NATIVE_CORE_MIXES_H_
#define DALI_MIX_NATIVE_CORE_MIXES_H_

#include <vector>

#include "core/api.h"
#include "core/images.h"

namespace dali_mix {

// How one sample is mixed. Images and boxes that do not show are left out.
struct SampleMix : MixedSample {
  bool masked;
  Shows outside;
};

// `copied`: -1 for images. Maps are never blended: this image shows instead of a blend.
// `frames_axis`: the letter of the frames in the layout, for error messages.
DALI_MIX_API std::vector<SampleMix> MixSamples(const PlanColumns &plan, const Images &images,
                                               int copied, char frames_axis);

}  // namespace dali_mix

#endif  // DALI_MIX_NATIVE_CORE_MIXES_H_
