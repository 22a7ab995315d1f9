// One call of fn.dali_mix.apply: its arguments and inputs, read and checked.
#ifndef DALI_MIX_NATIVE_DALI_APPLY_CALL_H_
#define DALI_MIX_NATIVE_DALI_APPLY_CALL_H_

#include <vector>

#include "apply_inputs.h"
#include "apply_options.h"
#include "apply_windows.h"
#include "core/batch.h"
#include "core/key.h"

namespace dali_mix {

// What is to be computed, as far as it follows without the addresses of the buffers.
struct ApplyCall {
  InputFormat input;
  OutputFormat output;
  Images images;
  std::vector<SampleMix> mixes;
  Coefficients coefficients;
  RowsKey key;

  // The samples, for buffers that are allocated.
  Batch MakeBatch(const Buffers &buffers) const {
    return dali_mix::MakeBatch(mixes, images, output, coefficients.factors, buffers);
  }
  // What they share, without its pointers.
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
  // Reads them for these inputs, and refuses what cannot be applied.
  ApplyCall Acquire(const dali::OpSpec &spec, const dali::ArgumentWorkspace &ws,
                    std::vector<InputShape> inputs);

 private:
  ApplyOptions options_;
  WindowArguments windows_;
  PlanColumns plan_;
};

}  // namespace dali_mix

#endif  // DALI_MIX_NATIVE_DALI_APPLY_CALL_H_
