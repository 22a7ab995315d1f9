// One call of fn.dali_mix.apply: its arguments and inputs, read and checked.
#ifndef DALI_MIX_NATIVE_DALI_APPLY_CALL_H_
#define DALI_MIX_NATIVE_DALI_APPLY_CALL_H_

#include <vector>

#include "apply_inputs.h"
#include "apply_options.h"
#include "apply_windows.h"
#include "core/batch.h"
#include "core/canvas.h"
#include "core/key.h"

namespace dali_mix {

// Everything that a call computes, except the addresses of its buffers.
struct ApplyCall {
  InputFormat input;
  OutputFormat output;
  Images images;
  CanvasRows canvases;
  std::vector<SampleMix> mixes;
  Coefficients coefficients;
  RowsKey key;

  // The samples, with the addresses of these buffers.
  Batch MakeBatch(const Buffers &buffers) const {
    return dali_mix::MakeBatch(mixes, images, output, coefficients.factors, buffers);
  }
  // What all samples share. Its pointers are not set.
  Call MakeCall() const;
  dali::TensorListShape<> OutputShape() const;
};

// The arguments of the operator.
class ApplyArguments {
 public:
  explicit ApplyArguments(const dali::OpSpec &spec);

  const ApplyOptions &Options() const { return options_; }
  dali::DALIDataType OutputType(const ApplyCall &call) const {
    return options_.CopiesMaps() ? call.input.type : options_.dtype;
  }
  // Reads the arguments for these inputs, and refuses a call that cannot be computed.
  ApplyCall Acquire(const dali::OpSpec &spec, const dali::ArgumentWorkspace &ws,
                    std::vector<InputShape> inputs);

 private:
  ApplyOptions options_;
  WindowArguments windows_;
  PlanColumns plan_;
};

}  // namespace dali_mix

#endif  // DALI_MIX_NATIVE_DALI_APPLY_CALL_H_
