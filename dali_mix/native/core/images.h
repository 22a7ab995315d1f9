// The images of one call of apply, before the plan is read: shapes, crop windows, mirror flags.
#ifndef DALI_MIX_NATIVE_CORE_IMAGES_H_
#define DALI_MIX_NATIVE_CORE_IMAGES_H_

#include <cstdint>
#include <vector>

#include "core/plan_columns.h"

namespace dali_mix {

// Shape of one image or one sequence: sizes and strides.
struct ImageShape {
  int frames, channels;
  Extent extent;
  int frame, row, column, channel;  // distance from one to the next, in values
  int64_t volume;
};

// Where the crop window of an image lies.
struct CropWindow {
  int y, x;
  Extent size;
};

// A batch of images from which a plan may take partners.
struct ImageInput {
  std::vector<ImageShape> shapes;
  std::vector<CropWindow> windows;
};

// All inputs of a call. The index of an image is input * batch size + sample.
struct Images {
  std::vector<ImageInput> inputs;  // the images, and the others if there are any
  ImageInput fitted;               // images of the size of the box; empty if there are none
  std::vector<Extent> masks;       // empty if there are none
  std::vector<bool> mirrored;      // [samples], the same for all inputs
  std::vector<Extent> canvases;    // on which the images lie; empty if there are none
  bool has_fitted = false;

  int Count() const { return static_cast<int>(inputs[0].shapes.size()); }
  const ImageShape &ShapeOf(int index) const {
    return inputs[index / Count()].shapes[index % Count()];
  }
  const CropWindow &WindowOf(int index) const {
    return inputs[index / Count()].windows[index % Count()];
  }
  // Height and width of one output.
  Extent OutputOf(int sample) const {
    return canvases.empty() ? inputs[0].windows[sample].size : canvases[sample];
  }
};

}  // namespace dali_mix

#endif  // DALI_MIX_NATIVE_CORE_IMAGES_H_
