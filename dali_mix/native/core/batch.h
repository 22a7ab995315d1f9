// A batch ready for the pixel code: crop, mirror and plan, turned into addresses.
#ifndef DALI_MIX_NATIVE_CORE_BATCH_H_
#define DALI_MIX_NATIVE_CORE_BATCH_H_

#include <vector>

#include "core/mixes.h"

namespace dali_mix {

// What the outputs of a call are like.
struct OutputFormat {
  int channels, out_channels;  // the latter with those that pad
  int images;                  // that one sample mixes, at most
  int in_size, out_size;       // bytes of a value
  bool channels_first;         // of the frames too: "CHW", "CFHW"
  int copied;                  // as in mixes.h
};

// Addresses of the buffers of a call.
struct Buffers {
  std::vector<const void *> images;  // of all inputs, one after the other
  std::vector<const void *> fitted;
  std::vector<const void *> masks;
  std::vector<void *> outputs;
};

// Samples, frame by frame, and all that they point to.
struct Batch {
  std::vector<Sample> samples;
  std::vector<Layers> layers;
  std::vector<Bytes> bytes;    // [samples][images]
  std::vector<float> weights;  // [samples][channels][images]
};

// `factors`: of each channel, what its weights are multiplied with.
Batch MakeBatch(const std::vector<SampleMix> &mixes, const Images &images,
                const OutputFormat &format, const std::vector<double> &factors,
                const Buffers &buffers);

}  // namespace dali_mix

#endif  // DALI_MIX_NATIVE_CORE_BATCH_H_
