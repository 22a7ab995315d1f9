// What the two backends of fn.dali_mix.apply share: everything before the pixels are computed.
#ifndef DALI_MIX_NATIVE_DALI_APPLY_OP_H_
#define DALI_MIX_NATIVE_DALI_APPLY_OP_H_

#include <vector>

#include "apply_call.h"
#include "dali/pipeline/operator/checkpointing/stateless_operator.h"

namespace dali_mix {

template <typename Backend>
class ApplyOp : public dali::StatelessOperator<Backend> {
 public:
  explicit ApplyOp(const dali::OpSpec &spec)
      : dali::StatelessOperator<Backend>(spec), arguments_(spec) {}

  bool SetupImpl(std::vector<dali::OutputDesc> &outputs, const dali::Workspace &ws) override {
    std::vector<InputShape> inputs;
    for (int k = 0; k < ws.NumInput(); k++) {
      const auto &input = ws.template Input<Backend>(k);
      inputs.push_back({input.shape(), input.GetLayout(), input.type()});
    }
    call_ = arguments_.Acquire(this->spec_, ws, inputs);
    outputs = {{call_.OutputShape(), arguments_.OutputType(call_)}};
    return true;
  }

 protected:
  // `canvases`: where the bytes of the canvases lie for this backend.
  Buffers MakeBuffers(dali::Workspace &ws, const void *canvases) const {
    Buffers buffers;
    for (const size_t begin : call_.canvases.begins) {
      buffers.canvases.push_back(static_cast<const uint8_t *>(canvases) + begin);
    }
    const auto append = [&ws](std::vector<const void *> &addresses, int number) {
      if (number < 0) {
        return;
      }
      const auto &input = ws.template Input<Backend>(number);
      for (int i = 0; i < input.num_samples(); i++) {
        addresses.push_back(input.raw_tensor(i));
      }
    };
    append(buffers.images, 0);
    append(buffers.images, arguments_.Options().others);
    append(buffers.fitted, arguments_.Options().fitted);
    append(buffers.masks, arguments_.Options().mask);
    auto &output = ws.template Output<Backend>(0);
    for (int i = 0; i < output.num_samples(); i++) {
      buffers.outputs.push_back(output.raw_mutable_tensor(i));
    }
    return buffers;
  }

  ApplyArguments arguments_;
  ApplyCall call_;
};

}  // namespace dali_mix

#endif  // DALI_MIX_NATIVE_DALI_APPLY_OP_H_
