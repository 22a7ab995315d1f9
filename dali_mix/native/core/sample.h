// Describes how one output image is made, in plain data for the CPU loops and the CUDA kernel.
#ifndef DALI_MIX_NATIVE_CORE_SAMPLE_H_
#define DALI_MIX_NATIVE_CORE_SAMPLE_H_

#include <cstddef>

#include "core/pixel.h"

namespace dali_mix {

constexpr int kBlended = -1;   // instead of the number of an image: the blend of all
constexpr int kMaxImages = 8;  // images that one sample may mix, with its own
constexpr int kMaxBoxes = 8;   // boxes that one sample may have

// Half-open, in output pixels. All zero: no box.
struct Box {
  int y0, x0, y1, x1;

  MIX_HD bool Empty() const { return y0 >= y1 || x0 >= x1; }
  MIX_HD bool Holds(int y, int x) const { return y0 <= y && y < y1 && x0 <= x && x < x1; }
};

// Half-open.
struct Range {
  int begin, end;
};

// What shows outside the boxes: the own image, the first partner, or a blend.
enum class Shows : unsigned { kOwn, kPartner, kBlend };

// The memory of one input image. Vector loads may read beyond a block, but not beyond this.
struct Bytes {
  const uint8_t *begin, *end;
};

// An input image as the output reads it. Crop, mirror and offset are part of the addresses: the
// value for output (y, x, c) is origin[y*row + x*column + c*channel]. Packed, so that a whole batch
// of samples fits into the parameters of a kernel.
struct __attribute__((packed, aligned(4))) Source {
  const void *origin;
  int row, column, channel;
};

// Own weight in 1/255 for each cell of the output. 255 everywhere is the same as no mask.
struct Mask {
  const uint8_t *values;  // [height][width]; null: there is no mask
  int height, width;
};

// What a sample has besides two images and one box. Few samples have it, so it is stored apart.
struct Layers {
  Source images[kMaxImages - 2];  // images after the own and the first partner
  int image_count;                // number of all images, with these two
  Box boxes[kMaxBoxes - 1];       // boxes after the first
  int box_count;                  // number of all boxes
  int shows[kMaxBoxes];           // the image that each box shows, or kBlended
  Mask mask;                      // between the own image and the first partner
  double blend;                   // own weight where the mask is 255
  int copied;                     // for maps: the image that shows instead of a blend
};

// 80 bytes, which the kernel loads 16 at a time.
struct alignas(16) Sample {
  void *out;  // in the layout of the call
  Source own, partner;
  int height, width;
  int plane;  // planar output: distance from one channel to the next, in values
  Box box;
  Shows outside : 2;
  int layers : 30;  // index into Call::layers; -1: there are none
};
static_assert(sizeof(Sample) == 80);

// A sample together with its layers; null: there are none.
struct Layered : Sample {
  const Layers *more;

  // Returned by value, so that a sample in registers stays there.
  MIX_HD Source Image(int k) const {
    return k == 0 ? own : (k == 1 ? partner : more->images[k - 2]);
  }
  MIX_HD int Images() const { return more ? more->image_count : 2; }
  MIX_HD Box BoxAt(int b) const { return b == 0 ? box : more->boxes[b - 1]; }
  MIX_HD int Boxes() const { return more ? more->box_count : 1; }
  MIX_HD int ShownIn(int b) const { return more ? more->shows[b] : 1; }
  // Whether the blend of the sample shows, with the weight of `Call::weights`.
  MIX_HD bool Blends() const {
    return outside == Shows::kBlend || (Boxes() > 0 && ShownIn(0) == kBlended);
  }
  MIX_HD bool Masked() const { return more && more->mask.values; }
};

// What all samples of a call share.
struct Call {
  const Single *singles;  // [channels]
  const double *factors;  // [channels]: k before rounding, for pixels of a soft mask
  const float *weights;   // [samples][channels][images]: weights of a blend, times k
  const Layers *layers;
  int channels;
  int out_channels;  // channels, or the next power of two; the padding is zero
  int images;        // largest number of images that one sample mixes
  bool planar;       // the output is CHW, else HWC
};

MIX_HD const float *WeightsOf(const Call &call, int sample) {
  return call.weights + static_cast<ptrdiff_t>(sample) * call.channels * call.images;
}

// Row (or column) of the mask for row (or column) `at` of an output of `length`.
MIX_HD int CellAt(int at, int cells, int length) {
  return cells == length
             ? at
             : static_cast<int>(static_cast<int64_t>(at) * cells / (length > 0 ? length : 1));
}

MIX_HD uint8_t MaskAt(const Layered &sample, int y, int x) {
  const Mask &mask = sample.more->mask;
  return mask.values[CellAt(y, mask.height, sample.height) * static_cast<ptrdiff_t>(mask.width) +
                     CellAt(x, mask.width, sample.width)];
}

// What shows at one pixel: an image, or the blend (`image` is kBlended). `level` is the mask's
// value there; 255 leaves the weights of the blend as they are.
struct Shown {
  int image;
  uint8_t level;

  MIX_HD bool operator==(const Shown &other) const {
    return image == other.image && level == other.level;
  }
};

// The definition of what shows. Later boxes cover earlier ones, and every box covers the mask.
// `level_at()` gives the mask's value at the pixel, and is called only if that matters.
template <typename Level>
MIX_HD Shown ShownUnder(const Layered &sample, int y, int x, Level &&level_at) {
  for (int b = sample.Boxes() - 1; b >= 0; b--) {
    if (sample.BoxAt(b).Holds(y, x)) {
      return {sample.ShownIn(b), 255};
    }
  }
  if (sample.Masked() && sample.outside != Shows::kPartner) {
    const uint8_t level = level_at();
    if (level == 0) {
      return {1, 255};
    }
    if (level < 255) {
      return {kBlended, level};
    }
  }
  if (sample.outside == Shows::kBlend) {
    return {kBlended, 255};
  }
  return {sample.outside == Shows::kOwn ? 0 : 1, 255};
}

MIX_HD Shown ShownAt(const Layered &sample, int y, int x) {
  return ShownUnder(sample, y, x, [&] { return MaskAt(sample, y, x); });
}

template <typename In>
MIX_HD const In *PixelAt(const Source &source, int y, int x, int channel) {
  return static_cast<const In *>(source.origin) + static_cast<ptrdiff_t>(y) * source.row +
         static_cast<ptrdiff_t>(x) * source.column +
         static_cast<ptrdiff_t>(channel) * source.channel;
}

template <typename Out, typename ValueOf>
MIX_HD Out ComputePixel(const Call &call, const Layered &sample, const float *weights, Shown shown,
                        int c, ValueOf &&value) {
  const Single single = call.singles[c];
  if (shown.image != kBlended) {
    return Narrow<Out>(NormalizePixel(value(shown.image), single));
  }
  if (shown.level < 255) {
    const Blend blend = BlendOf(call.factors[c], SoftWeight(sample.more->blend, shown.level));
    return Narrow<Out>(BlendPixel(value(0), value(1), blend, single.s));
  }
  float sum = single.s;
  for (int k = sample.Images() - 1; k >= 0; k--) {
    const float weight = weights[c * call.images + k];
    if (weight != 0) {
      sum = Fma(Widen(value(k)), weight, sum);
    }
  }
  return Narrow<Out>(sum);
}

// One value of the output, by the definition. Reads only images that show. `weights` are the
// sample's.
template <typename In, typename Out>
MIX_HD Out MixPixel(const Call &call, const Layered &sample, const float *weights, Shown shown,
                    int y, int x, int c) {
  const auto value = [&](int k) { return *PixelAt<In>(sample.Image(k), y, x, c); };
  if constexpr (kIsCopied<In>) {
    return value(shown.image == kBlended ? sample.more->copied : shown.image);
  } else {
    return ComputePixel<Out>(call, sample, weights, shown, c, value);
  }
}

// The columns of row y that the box covers, for samples without layers. The partner shows in them;
// `outside` shows before and after them.
MIX_HD Range BoxedColumns(const Sample &sample, int y) {
  if (y < sample.box.y0 || y >= sample.box.y1) {
    return {0, 0};
  }
  return {sample.box.x0, sample.box.x1};
}

}  // namespace dali_mix

#endif  // DALI_MIX_NATIVE_CORE_SAMPLE_H_
