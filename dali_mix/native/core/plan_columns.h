// Reads and checks the columns of a plan, for all operators that take plans.
#ifndef DALI_MIX_NATIVE_CORE_PLAN_COLUMNS_H_
#define DALI_MIX_NATIVE_CORE_PLAN_COLUMNS_H_

#include <vector>

#include "core/api.h"
#include "core/sample.h"
#include "core/shares.h"

namespace dali_mix {

// Height and width, in pixels.
struct Extent {
  int height, width;
  bool operator==(const Extent &) const = default;
};

// One column of a plan. All samples of a batch have the same number of values.
template <typename T>
struct Column {
  bool given = false;
  bool varies = false;             // each sample has its values; else all have `constant`
  int length = 0;                  // number of values of one sample
  std::vector<T> constant;         // [length]
  std::vector<const T *> samples;  // [samples][length]

  const T *operator[](int i) const { return varies ? samples[i] : constant.data(); }
};

// How one sample is mixed, as the plan says. On a canvas, image 0 is the canvas, and the own image
// is image 1.
struct MixedSample {
  bool canvas;
  int images;                  // number of images, with the own one and the canvas
  int index[kMaxImages];       // in all inputs: input * batch size + sample
  double weights[kMaxImages];  // of the blend: outside the boxes, or inside
  bool blends_inside;          // the boxes show the blend, and the own image lies around them
  int offset[kMaxImages][2];   // (y, x): a box shows the image's pixel p + offset at pixel p
  int boxes;                   // number of boxes that are not empty
  Box box[kMaxBoxes];
  int shows[kMaxBoxes];  // the image that each box shows, or kBlended
  Range boxed_frames;    // the frames that have the boxes
  bool fitted;           // whether the box shows an image that was made for it
};

struct PlanColumns {
  Column<int> partner, box, size, offset, fit, frames, view;
  Column<float> blend, fill, box_blend;
  int images = 2;  // number of images that one sample mixes

  // Whether the images lie on a canvas: each has a box and an offset, the own one too.
  bool HasCanvas() const { return fill.given; }

  // Sets `images`, and refuses columns of a wrong length. Call this before the functions below.
  DALI_MIX_API void Check(int batch);

  int Boxes() const { return box.length / 4; }
  // The image that a box shows, as MixedSample counts them.
  int ShownIn(int b) const { return images == 2 && !HasCanvas() ? 1 : b + 1; }
  // Height and width of the output that the plan was drawn for.
  DALI_MIX_API Extent Size(int sample) const;

  // The following functions refuse wrong values.

  // Weights of all images. If the plan has one value, it is the own weight, and the first partner
  // has the rest. The canvas has the whole weight.
  DALI_MIX_API void Weights(int sample, double *weights) const;
  // A box, which must lie inside the output.
  DALI_MIX_API Box BoxOf(int sample, int b, Extent output) const;
  // Own weight inside the boxes.
  DALI_MIX_API double BoxBlend(int sample) const;
  // Which of `count` frames have the boxes.
  DALI_MIX_API Range BoxedFrames(int sample, int count) const;
  // The whole plan of a sample. There are `batch` images in each of `inputs` inputs.
  MixedSample SampleOf(int sample, int batch, int inputs, Extent output, int frame_count) const;

 private:
  void CheckCanvas() const;
  int Partner(int sample, int image, int batch, int inputs) const;
};

// The canvas of each sample; empty if the plan has none.
DALI_MIX_API std::vector<Extent> CanvasesOf(const PlanColumns &plan, int batch);

// Refuses an index that is not in the batch or, if there are two inputs, in the others after it.
DALI_MIX_API void CheckPartner(int partner, int sample, int batch, int inputs);

}  // namespace dali_mix

#endif  // DALI_MIX_NATIVE_CORE_PLAN_COLUMNS_H_
