// A batch ready for the pixel code: crop, mirror and plan have been turned into addresses.
#ifndef DALI_MIX_NATIVE_CORE_BATCH_H_
#define DALI_MIX_NATIVE_CORE_BATCH_H_

#include <vector>

#include "core/api.h"
#include "core/mixes.h"

namespace dali_mix {

// The format of the outputs of a call.
struct OutputFormat {
  int channels, out_channels;  // out_channels counts the padding too
  int images;                  // largest number of images that one sample mixes
  int in_size, out_size;       // bytes of a value
  bool channels_first;         // before the frames too: "CHW", "CFHW"
  int copied;                  // as in mixes.h
};

// Addresses of the buffers of a call.
struct Buffers {
  std::vector<const void *> images;  // of all inputs, input by input
  std::vector<const void *> fitted;
  std::vector<const void *> masks;
  std::vector<const void *> canvases;  // rows, as in canvas.h
  std::vector<void *> outputs;
};

// The samples, frame by frame, and what they point to.
struct Batch {
  std::vector<Sample> samples;
  std::vector<Layers> layers;
  std::vector<Bytes> bytes;    // [samples][images]
  std::vector<float> weights;  // [samples][channels][images]
};

// `factors`: for each channel, the factor of its weights.
DALI_MIX_API Batch MakeBatch(const std::vector<SampleMix> &mixes, const Images &images,
                             const OutputFormat &format, const std::vector<double> &factors,
                             const Buffers &buffers);

}  // namespace dali_mix

#endif  // DALI_MIX_NATIVE_CORE_BATCH_H_
