// The inputs of fn.dali_mix.apply: types, layouts and shapes.
#ifndef DALI_MIX_NATIVE_DALI_APPLY_INPUTS_H_
#define DALI_MIX_NATIVE_DALI_APPLY_INPUTS_H_

#include <vector>

#include "apply_options.h"
#include "core/images.h"

namespace dali_mix {

// Shapes, layout and type of one input.
struct InputShape {
  dali::TensorListShape<> shape;
  dali::TensorLayout layout;
  dali::DALIDataType type;
};

// What all samples of a call have in common.
struct InputFormat {
  dali::DALIDataType type;
  InType in;
  int channels;
  bool interleaved;
  dali::TensorLayout output_layout;
  bool planar;       // whether each frame of the output is planar
  char frames_axis;  // the letter of the frames or slices in the layout; 0: there are none
};

// Reads the inputs, the images first, and sets shapes and masks of `images`. Refuses inputs that do
// not fit together.
InputFormat ReadInputs(const ApplyOptions &options, std::vector<InputShape> inputs, Images &images);

}  // namespace dali_mix

#endif  // DALI_MIX_NATIVE_DALI_APPLY_INPUTS_H_
