// fn.dali_mix.apply on the GPU: one launch, no synchronization. Canvases are uploaded before it.
#include "apply_op.h"
#include "dali/kernels/dynamic_scratchpad.h"
#include "kernel/launch.h"

namespace dali_mix {

using dali::GPUBackend;

namespace {

// Of DALI's pools: given back in the order of the stream.
class Scratch : public LaunchMemory {
 public:
  explicit Scratch(cudaStream_t stream) : pad_(stream) {}
  char *Pinned(size_t bytes) override { return pad_.AllocatePinned<char>(bytes, kLaunchAlignment); }
  char *OnDevice(size_t bytes) override { return pad_.AllocateGPU<char>(bytes, kLaunchAlignment); }

 private:
  dali::kernels::DynamicScratchpad pad_;
};

}  // namespace

class ApplyGpu : public ApplyOp<GPUBackend> {
 public:
  using ApplyOp<GPUBackend>::ApplyOp;
  void RunImpl(dali::Workspace &ws) override;
};

void ApplyGpu::RunImpl(dali::Workspace &ws) {
  ws.Output<GPUBackend>(0).SetLayout(call_.input.output_layout);
  Scratch scratch(ws.stream());
  const uint8_t *canvases = UploadBytes(call_.canvases.bytes, ws.stream(), scratch);
  const Batch batch = call_.MakeBatch(MakeBuffers(ws, canvases));
  const auto &[singles, factors] = call_.coefficients;
  LaunchBatch(call_.key,
              {call_.MakeCall(), batch.samples, batch.layers, singles, factors, batch.weights},
              ws.stream(), scratch);
}

}  // namespace dali_mix

namespace dali {
DALI_REGISTER_OPERATOR(dali_mix__Apply, dali_mix::ApplyGpu, GPU);
}  // namespace dali
