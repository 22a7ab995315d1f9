// The CUDA kernels and their launch, without DALI.
#ifndef DALI_MIX_NATIVE_LAUNCH_CUH_
#define DALI_MIX_NATIVE_LAUNCH_CUH_

#include <cuda_runtime.h>

#include <algorithm>
#include <vector>

#include "kernel.h"

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

// Kernel parameters may take 32,764 bytes: a batch of up to 256 RGB images without layers travels
// with the launch, and nothing is uploaded.
constexpr int kInlineSamples = 256, kInlineChannels = 4, kInlineWeights = 256 * 3 * 2;

struct InlineBatch {
  Call call;
  Sample samples[kInlineSamples];
  Single singles[kInlineChannels];
  float weights[kInlineWeights];
};
static_assert(sizeof(InlineBatch) <= 32764, "kernel parameters are limited");

struct UploadedBatch {
  Call call;
  const Sample *samples;
};

template <class Tile>
__global__ void __launch_bounds__(kThreads) MixInline(const __grid_constant__ InlineBatch batch) {
  Call call = batch.call;
  call.singles = batch.singles;
  call.weights = batch.weights;
  WriteTile<Tile>(call, batch.samples, blockIdx.x, blockIdx.y, threadIdx.x);
}

template <class Tile>
__global__ void __launch_bounds__(kThreads) MixUploaded(const UploadedBatch batch) {
  WriteTile<Tile>(batch.call, batch.samples, blockIdx.x, blockIdx.y, threadIdx.x);
}

inline bool FitsInline(const HostBatch &batch) {
  return batch.layers.empty() && batch.samples.size() <= kInlineSamples &&
         batch.singles.size() <= kInlineChannels && batch.weights.size() <= kInlineWeights;
}

// One launch, or none where there is nothing to write. `upload(batch)` returns the batch in device
// memory; it is asked only where the batch does not fit into the parameters.
template <typename Upload>
void LaunchMix(const RowsKey &key, const HostBatch &batch, cudaStream_t stream, Upload &&upload) {
  VisitTile(key, [&]<class Tile>() {
    const int count = static_cast<int>(batch.samples.size());
    const int blocks = BlocksFor<Tile>(batch.samples.data(), count);
    if (blocks == 0) return;
    const dim3 grid(blocks, count);
    if (!FitsInline(batch)) {
      MixUploaded<Tile><<<grid, kThreads, 0, stream>>>(upload(batch));
      return;
    }
    InlineBatch parameters;
    parameters.call = batch.call;
    std::copy(batch.samples.begin(), batch.samples.end(), parameters.samples);
    std::copy(batch.singles.begin(), batch.singles.end(), parameters.singles);
    std::copy(batch.weights.begin(), batch.weights.end(), parameters.weights);
    MixInline<Tile><<<grid, kThreads, 0, stream>>>(parameters);
  });
}

}  // namespace dali_mix

#endif  // DALI_MIX_NATIVE_LAUNCH_CUH_
