// fn.dali_mix.apply on the GPU: one launch, no allocation, no synchronization.
#include <utility>

#include "apply_op.h"
#include "dali/core/cuda_error.h"
#include "dali/kernels/dynamic_scratchpad.h"
#include "launch.cuh"

namespace dali_mix {

using dali::GPUBackend;

class ApplyGpu : public ApplyOp<GPUBackend> {
 public:
  using ApplyOp<GPUBackend>::ApplyOp;
  void RunImpl(dali::Workspace &ws) override;
};

void ApplyGpu::RunImpl(dali::Workspace &ws) {
  const auto &images = ws.Input<GPUBackend>(0);
  auto &output = ws.Output<GPUBackend>(0);
  output.SetLayout(arguments_.OutputLayout());
  const auto image_at = [&images](int i) { return images.raw_tensor(i); };
  std::vector<Sample> samples;
  for (int i = 0; i < arguments_.BatchSize(); i++)
    samples.push_back(arguments_.MakeSample(i, output.raw_mutable_tensor(i), image_at));

  const cudaStream_t stream = ws.stream();
  dali::kernels::DynamicScratchpad scratch(stream);
  const auto upload = [&](const HostBatch &batch) -> UploadedBatch {
    const auto [d_samples, d_singles, d_blends] =
        scratch.ToContiguousGPU(stream, batch.samples, batch.singles, batch.blends);
    return {arguments_.MakeCall(d_singles, d_blends), d_samples};
  };
  LaunchMix(
      arguments_.Key(),
      {arguments_.MakeCall(nullptr, nullptr), samples, arguments_.Singles(), arguments_.Blends()},
      stream, upload);
  CUDA_CALL(cudaGetLastError());
}

}  // namespace dali_mix

namespace dali {
DALI_REGISTER_OPERATOR(dali_mix__Apply, dali_mix::ApplyGpu, GPU);
}  // namespace dali
