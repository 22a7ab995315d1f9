// The columns of a plan, checked: what all that read plans share.
#ifndef DALI_MIX_NATIVE_CORE_PLAN_COLUMNS_H_
#define DALI_MIX_NATIVE_CORE_PLAN_COLUMNS_H_

#include <vector>

#include "core/sample.h"
#include "core/shares.h"

namespace dali_mix {

// Height and width, in pixels.
struct Extent {
  int height, width;
  bool operator==(const Extent &) const = default;
};

// Values of one column for each sample of a batch, of all samples equally many.
template <typename T>
struct Column {
  bool given = false;
  bool varies = false;             // from sample to sample; else `constant` holds for all
  int length = 0;                  // values of one sample
  std::vector<T> constant;         // [length]
  std::vector<const T *> samples;  // [samples][length]

  const T *operator[](int i) const { return varies ? samples[i] : constant.data(); }
};

// How one sample is mixed, as its plan says.
struct MixedSample {
  int images;                  // the own among them
  int index[kMaxImages];       // over all inputs: input * batch + sample
  double weights[kMaxImages];  // where there is no box
  int offset[kMaxImages][2];   // of what is seen in a box, (y, x)
  int boxes;                   // that are not empty
  Box box[kMaxBoxes];
  int shows[kMaxBoxes];  // the image that each box shows
  Range boxed_frames;    // that have the boxes
  bool fitted;           // the box shows an image that was made for it
};

struct PlanColumns {
  Column<int> partner, box, size, offset, fit, frames;
  Column<float> blend;
  int images = 2;  // that one sample mixes

  // Sets `images`, and refuses columns of other lengths than a plan has. Comes before all that
  // follows.
  void Check(int batch);

  int Boxes() const { return box.length / 4; }
  // The image that a box shows.
  int ShownIn(int b) const { return images == 2 ? 1 : b + 1; }
  // Height and width of the output that the plan was drawn for.
  Extent Size(int sample) const;

  // The following refuse wrong values.

  // Weights of all images. One value is the own; the first partner has what it leaves.
  void Weights(int sample, double *weights) const;
  // A box, inside the output.
  Box BoxOf(int sample, int b, Extent output) const;
  // Those of `count` frames that have the boxes.
  Range BoxedFrames(int sample, int count) const;
  // All of it. Partners are of `batch` samples in each of `inputs` inputs.
  MixedSample SampleOf(int sample, int batch, int inputs, Extent output, int frame_count) const;

 private:
  int Partner(int sample, int image, int batch, int inputs) const;
};

// Refuses what is no index into the batch or, where there are several inputs, the others behind it.
void CheckPartner(int partner, int sample, int batch, int inputs);

}  // namespace dali_mix

#endif  // DALI_MIX_NATIVE_CORE_PLAN_COLUMNS_H_
