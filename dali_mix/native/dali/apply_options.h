// The constant arguments of fn.dali_mix.apply: names of the inputs, normalization, output.
#ifndef DALI_MIX_NATIVE_DALI_APPLY_OPTIONS_H_
#define DALI_MIX_NATIVE_DALI_APPLY_OPTIONS_H_

#include <vector>

#include "arguments.h"
#include "core/key.h"
#include "core/pixel.h"

namespace dali_mix {

struct ApplyOptions {
  // Refuses wrong arguments.
  explicit ApplyOptions(const dali::OpSpec &spec);

  int others, fitted, mask;  // numbers of these inputs; -1: there is none
  std::vector<float> mean, std;
  float scale, shift;
  int copied;  // for maps, the image that shows instead of a blend; -1: images
  bool pad_output;
  dali::TensorLayout output_layout;  // empty: the layout of the maps
  dali::DALIDataType dtype;

  bool CopiesMaps() const { return copied >= 0; }
  // The number of channels of the output, with the padding.
  int OutChannels(int channels) const;
  OutType Out() const;
};

// Coefficients of each channel, for pixels of one image and for the weights of a blend.
struct Coefficients {
  std::vector<Single> singles;  // [channels]
  std::vector<double> factors;  // [channels]
};

Coefficients CoefficientsOf(const ApplyOptions &options, int channels);

}  // namespace dali_mix

#endif  // DALI_MIX_NATIVE_DALI_APPLY_OPTIONS_H_
