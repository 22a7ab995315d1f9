// The columns of a plan, checked: what the operators that read plans share.
#ifndef DALI_MIX_NATIVE_CORE_PLAN_COLUMNS_H_
#define DALI_MIX_NATIVE_CORE_PLAN_COLUMNS_H_

#include "core/sample.h"
#include "dali/arguments.h"

namespace dali_mix {

// What every reader of a plan takes of it.
class PlanColumns {
 public:
  explicit PlanColumns(const dali::OpSpec &spec);

  // Refuses columns of other lengths than a plan has.
  void Acquire(const dali::ArgumentWorkspace &ws, int batch_size);

  // How many images one sample mixes.
  int Images() const { return images_; }
  int Boxes() const { return box.Length() / 4; }
  // The image that a box shows.
  int ShownIn(int b) const { return images_ == 2 ? 1 : b + 1; }

  // The image mixed in as number `image`, over all inputs: input * batch + sample.
  int Partner(int sample, int image, int batch, int inputs) const;
  // Weights of all images. One value is the own; the first partner has what it leaves.
  void Weights(int sample, double *weights) const;
  // A box, inside the output.
  Box BoxOf(int sample, int b, Extent size) const;
  // Height and width of the output.
  Extent Size(int sample) const;
  // Those of `count` frames that have the boxes.
  Range Frames(int sample, int count) const;

  Column<int> partner, box, size, offset, fit, frames;
  Column<float> blend;

 private:
  int images_ = 2;
};

}  // namespace dali_mix

#endif  // DALI_MIX_NATIVE_CORE_PLAN_COLUMNS_H_
