// What a launch is given: a batch on the host, the same in device memory, or as kernel parameters.
// Without CUDA: a host test sees which batches travel as parameters.
#ifndef DALI_MIX_NATIVE_KERNEL_BATCH_PARAMS_H_
#define DALI_MIX_NATIVE_KERNEL_BATCH_PARAMS_H_

#include <vector>

#include "kernel/schedule.h"

namespace dali_mix {

// A batch on the host, ready to launch. The pointers of `call` are not set.
struct HostBatch {
  Call call;
  const std::vector<Sample> &samples;
  const std::vector<Layers> &layers;
  const std::vector<Single> &singles;
  const std::vector<double> &factors;
  const std::vector<float> &weights;
};

// A batch in device memory: all that it points to is there.
struct UploadedBatch {
  Call call;
  Schedule schedule;
  const Sample *samples;
};

// A batch without layers travels with the launch, and nothing is uploaded. Its room is for RGB
// images of which each is mixed with one more.
template <int kSamples>
struct InlineBatch {
  static constexpr int kChannels = 4, kWeights = kSamples * 3 * 2;
  Call call;
  Schedule schedule;
  Work work[kSamples];
  Sample samples[kSamples];
  Single singles[kChannels];
  float weights[kWeights];

  static bool Fits(const HostBatch &batch) {
    return batch.layers.empty() && batch.samples.size() <= kSamples &&
           batch.singles.size() <= kChannels && batch.weights.size() <= kWeights;
  }
};
// Every launch copies all of its parameters, which may take 32,764 bytes, and 4,096 of them are
// what any driver takes.
constexpr int kFew = 32, kMany = 256;
static_assert(sizeof(InlineBatch<kFew>) <= 4096 && sizeof(InlineBatch<kMany>) <= 32764);

}  // namespace dali_mix

#endif  // DALI_MIX_NATIVE_KERNEL_BATCH_PARAMS_H_
