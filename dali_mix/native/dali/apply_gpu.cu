// fn.dali_mix.apply on the GPU: one launch, no allocation, no synchronization.
#include <tuple>

#include "apply_op.h"
#include "dali/core/cuda_error.h"
#include "dali/kernels/dynamic_scratchpad.h"
#include "kernel/launch.cuh"

namespace dali_mix {

using dali::GPUBackend;

class ApplyGpu : public ApplyOp<GPUBackend> {
 public:
  using ApplyOp<GPUBackend>::ApplyOp;
  void RunImpl(dali::Workspace &ws) override;
};

void ApplyGpu::RunImpl(dali::Workspace &ws) {
  ws.Output<GPUBackend>(0).SetLayout(call_.input.output_layout);
  const Batch batch = call_.MakeBatch(MakeBuffers(ws));
  const cudaStream_t stream = ws.stream();
  dali::kernels::DynamicScratchpad scratch(stream);
  const auto upload = [&](const HostBatch &host, const std::vector<Work> &work) {
    UploadedBatch device = {host.call, {}, nullptr};
    Call &call = device.call;
    std::tie(device.samples, device.schedule.work, call.layers, call.singles, call.factors,
             call.weights) = scratch.ToContiguousGPU(stream, host.samples, work, host.layers,
                                                     host.singles, host.factors, host.weights);
    return device;
  };
  const auto &[singles, factors] = call_.coefficients;
  LaunchMix(call_.key,
            {call_.MakeCall(), batch.samples, batch.layers, singles, factors, batch.weights},
            stream, upload);
  CUDA_CALL(cudaGetLastError());
}

}  // namespace dali_mix

namespace dali {
DALI_REGISTER_OPERATOR(dali_mix__Apply, dali_mix::ApplyGpu, GPU);
}  // namespace dali
