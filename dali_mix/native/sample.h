// What one output image is made of: plain data, read by the CPU loops and by the CUDA kernel.
#ifndef DALI_MIX_NATIVE_SAMPLE_H_
#define DALI_MIX_NATIVE_SAMPLE_H_

#include "pixel.h"

namespace dali_mix {

// Half-open, in output pixels. All zero: no box.
struct Box {
  int y0, x0, y1, x1;

  MIX_HD bool Empty() const { return y0 >= y1 || x0 >= x1; }
};

// What shows at a pixel. Inside the box it is the partner; outside, what `blend` says.
enum class Shows : int { kOwn, kPartner, kBoth };

// An input image as the output sees it, crop and mirror folded into address arithmetic: the value
// behind output (y, x, c) is origin[y*row + x*column + c*channel].
struct Source {
  const void *origin;
  int row, column, channel;
};

struct Sample {
  void *out;  // contiguous, in the layout of the call
  Source own, partner;
  int height, width;
  Box box;
  Shows outside;
};

// What all samples of a call share.
struct Call {
  const Single *singles;  // [channels]
  const Blend *blends;    // [samples][channels]
  int channels;
  int out_channels;  // channels, or the power of two above it; the padding is zero
  bool planar;       // CHW output, else HWC
};

// The columns of a row fall into runs with one answer each:
// [0, begin) outside, [begin, end) the partner, [end, width) outside.
struct Cut {
  int begin, end;
};

MIX_HD Cut CutOfRow(const Sample &sample, int y) {
  if (y < sample.box.y0 || y >= sample.box.y1) return {0, 0};
  return {sample.box.x0, sample.box.x1};
}

}  // namespace dali_mix

#endif  // DALI_MIX_NATIVE_SAMPLE_H_
