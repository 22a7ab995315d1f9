// fn.dali_mix.apply on the GPU: one launch, no allocation, no synchronization.
#include <cuda_runtime.h>

#include <utility>

#include "apply_op.h"
#include "dali/core/cuda_error.h"
#include "dali/kernels/dynamic_scratchpad.h"
#include "kernel.h"

namespace dali_mix {

using dali::GPUBackend;

namespace {

// Kernel parameters may take 32,764 bytes: a batch of up to 256 images with up to 4 channels
// travels with the launch, and nothing is uploaded.
constexpr int kInlineSamples = 256, kInlineChannels = 4;

struct InlineBatch {
  Call call;
  Sample samples[kInlineSamples];
  Single singles[kInlineChannels];
  Blend blends[kInlineSamples * kInlineChannels];
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
  call.blends = batch.blends;
  WriteTile<Tile>(call, batch.samples, blockIdx.x, blockIdx.y, threadIdx.x);
}

template <class Tile>
__global__ void __launch_bounds__(kThreads) MixUploaded(const UploadedBatch batch) {
  WriteTile<Tile>(batch.call, batch.samples, blockIdx.x, blockIdx.y, threadIdx.x);
}

}  // namespace

class ApplyGpu : public ApplyOp<GPUBackend> {
 public:
  using ApplyOp<GPUBackend>::ApplyOp;
  void RunImpl(dali::Workspace &ws) override;

 private:
  template <class Tile>
  void Launch(const std::vector<Sample> &samples, cudaStream_t stream) const;
};

template <class Tile>
void ApplyGpu::Launch(const std::vector<Sample> &samples, cudaStream_t stream) const {
  const int count = static_cast<int>(samples.size());
  const int blocks = BlocksFor<Tile>(samples.data(), count);
  if (blocks == 0) return;
  const dim3 grid(blocks, count);
  const auto &singles = arguments_.Singles();
  const auto &blends = arguments_.Blends();
  if (count <= kInlineSamples && singles.size() <= kInlineChannels) {
    InlineBatch batch;
    batch.call = arguments_.MakeCall(nullptr, nullptr);
    std::copy(samples.begin(), samples.end(), batch.samples);
    std::copy(singles.begin(), singles.end(), batch.singles);
    std::copy(blends.begin(), blends.end(), batch.blends);
    MixInline<Tile><<<grid, kThreads, 0, stream>>>(batch);
  } else {
    dali::kernels::DynamicScratchpad scratch(stream);
    const auto [d_samples, d_singles, d_blends] =
        scratch.ToContiguousGPU(stream, samples, singles, blends);
    MixUploaded<Tile>
        <<<grid, kThreads, 0, stream>>>({arguments_.MakeCall(d_singles, d_blends), d_samples});
  }
  CUDA_CALL(cudaGetLastError());
}

void ApplyGpu::RunImpl(dali::Workspace &ws) {
  const auto &images = ws.Input<GPUBackend>(0);
  auto &output = ws.Output<GPUBackend>(0);
  output.SetLayout(arguments_.OutputLayout());
  const auto image_at = [&images](int i) { return images.raw_tensor(i); };
  std::vector<Sample> samples;
  for (int i = 0; i < arguments_.BatchSize(); i++)
    samples.push_back(arguments_.MakeSample(i, output.raw_mutable_tensor(i), image_at));
  VisitTile(arguments_.Key(), [&]<class Tile>() { Launch<Tile>(samples, ws.stream()); });
}

}  // namespace dali_mix

namespace dali {
DALI_REGISTER_OPERATOR(dali_mix__Apply, dali_mix::ApplyGpu, GPU);
}  // namespace dali
