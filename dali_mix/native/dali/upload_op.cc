// fn.dali_mix.upload: copies a batch, such as labels, from the CPU to the GPU.
#include <cstring>

#include "dali/core/mm/memory.h"
#include "dali/pipeline/operator/checkpointing/stateless_operator.h"
#include "dali/pipeline/operator/operator.h"

namespace dali_mix {

using dali::CPUBackend;
using dali::GPUBackend;

class Upload : public dali::StatelessOperator<dali::MixedBackend> {
 public:
  using dali::StatelessOperator<dali::MixedBackend>::StatelessOperator;

  bool SetupImpl(std::vector<dali::OutputDesc> &outputs, const dali::Workspace &ws) override {
    const auto &input = ws.Input<CPUBackend>(0);
    outputs = {{input.shape(), input.type()}};
    return true;
  }

  void RunImpl(dali::Workspace &ws) override {
    const auto &input = ws.Input<CPUBackend>(0);
    auto &output = ws.Output<GPUBackend>(0);
    output.SetLayout(input.GetLayout());
    if (input.nbytes() == 0) {
      return;
    }
    // Pinned memory that the host can fill now, and that is freed after the GPU has read it.
    const auto staged = dali::mm::alloc_raw_async_unique<char, dali::mm::memory_kind::pinned>(
        input.nbytes(), dali::mm::host_sync, ws.stream());
    const dali::TypeInfo &type = input.type_info();
    char *to = staged.get();
    for (int i = 0; i < input.num_samples(); i++) {
      const size_t size = dali::volume(input.tensor_shape_span(i)) * type.size();
      std::memcpy(to, input.raw_tensor(i), size);
      to += size;
    }
    type.Copy<GPUBackend, CPUBackend>(contiguous_raw_mutable_data(output), {}, staged.get(), {},
                                      input._num_elements(), ws.stream());
  }
};

}  // namespace dali_mix

namespace dali {

DALI_SCHEMA(dali_mix__Upload)
    .DocStr(R"(Brings the batch to the GPU.

As ``.gpu()``, which makes the host wait, in DALI 2.4, for all that the GPU has been given before.)")
    .NumInput(1)
    .NumOutput(1)
    .InputDox(0, "batch", "TensorList", "A batch on the CPU, of any type.");

DALI_REGISTER_OPERATOR(dali_mix__Upload, dali_mix::Upload, Mixed);

}  // namespace dali
