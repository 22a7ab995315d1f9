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
  const std::vector<Bytes> &bytes;
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

// Kernel parameters may take 32,764 bytes: a batch of up to 256 RGB images without layers travels
// with the launch, and nothing is uploaded.
constexpr int kInlineSamples = 256, kInlineChannels = 4, kInlineWeights = 256 * 3 * 2;

struct InlineBatch {
  Call call;
  Schedule schedule;
  Work work[kInlineSamples];
  Sample samples[kInlineSamples];
  Single singles[kInlineChannels];
  float weights[kInlineWeights];
};
static_assert(sizeof(InlineBatch) <= 32764, "kernel parameters are limited");

inline bool FitsInline(const HostBatch &batch) {
  return batch.layers.empty() && batch.samples.size() <= kInlineSamples &&
         batch.singles.size() <= kInlineChannels && batch.weights.size() <= kInlineWeights;
}

}  // namespace dali_mix

#endif  // DALI_MIX_NATIVE_KERNEL_BATCH_PARAMS_H_
