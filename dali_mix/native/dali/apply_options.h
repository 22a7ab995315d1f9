// The constant arguments of fn.dali_mix.apply: names of the inputs, normalization, output.
#ifndef DALI_MIX_NATIVE_DALI_APPLY_OPTIONS_H_
#define DALI_MIX_NATIVE_DALI_APPLY_OPTIONS_H_

#include <vector>

#include "arguments.h"
#include "core/key.h"
#include "core/pixel.h"

namespace dali_mix {

struct ApplyOptions {
  // Refuses what can never be applied.
  explicit ApplyOptions(const dali::OpSpec &spec);

  int others, fitted, mask;  // numbers of the inputs, -1: there is none
  std::vector<float> mean, std;
  float scale, shift;
  int copied;  // of maps, the image that shows in place of a blend; -1: images
  bool pad_output;
  dali::TensorLayout output_layout;  // empty: that of the maps
  dali::DALIDataType dtype;

  bool CopiesMaps() const { return copied >= 0; }
  // Those that pad among them.
  int OutChannels(int channels) const;
  OutType Out() const;
};

// What the channels of single images, and the weights of a blend, are multiplied with.
struct Coefficients {
  std::vector<Single> singles;  // [channels]
  std::vector<double> factors;  // [channels]
};

Coefficients CoefficientsOf(const ApplyOptions &options, int channels);

}  // namespace dali_mix

#endif  // DALI_MIX_NATIVE_DALI_APPLY_OPTIONS_H_
