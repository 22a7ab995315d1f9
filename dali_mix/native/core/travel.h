// Mixes bounding boxes and points as their images are mixed, and keeps what is visible.
#ifndef DALI_MIX_NATIVE_CORE_TRAVEL_H_
#define DALI_MIX_NATIVE_CORE_TRAVEL_H_

#include <vector>

#include "core/api.h"
#include "core/plan_columns.h"
#include "core/shares.h"

namespace dali_mix {

// Boxes (4 columns) or points (2 columns) of one image, relative to it after crop and mirror.
struct Shapes {
  const float *values;  // [count][columns]
  const int *labels;    // [count]
  int count, columns;
  const float *weights = nullptr;  // [count], which they have already; null: 1

  float WeightOf(int m) const { return weights ? weights[m] : 1; }
};

// What is visible of the boxes or points of all images of a sample.
struct Kept {
  std::vector<float> values;
  std::vector<int> labels;
  std::vector<float> weights;
};

// Where an image lies on the output, in pixels. Maps relative coordinates to the output.
struct Placement {
  double height, width, y, x;

  double Y(float y_relative) const { return height * y_relative + y; }
  double X(float x_relative) const { return width * x_relative + x; }
};

// How the images of one sample share the pixels of the output.
struct TravelSample {
  MixedSample mixed;
  Extent size;
  Placement places[kMaxImages];
  Mask mask;
  double min_visible = 0;  // boxes of which a smaller share shows are left out

  // Weight of an image in a box that shows an image, or the blend.
  double WeightInBox(int image, int shown) const;
  // Weight of an image at a pixel, without the boxes.
  double BareWeightAt(int image, int y, int x) const;
  // Weight of an image at a pixel, with the boxes.
  double WeightAt(int image, int y, int x) const;
  BoxedOutput Boxes() const {
    return {size.height, size.width, mixed.box, mixed.shows, mixed.boxes};
  }
};

// Sample i of a batch by its plan, without the mask. `views`: (height, width) of image i of each
// input, after its crop.
DALI_MIX_API TravelSample ReadTravel(const PlanColumns &plan, const Column<int> &views, int i,
                                     int batch, int inputs);

// Refuses coordinates that are not finite, and boxes whose edges are swapped.
DALI_MIX_API void CheckShapes(const Shapes &shapes, int sample);

// Appends the visible parts of the shapes of that image.
DALI_MIX_API void KeepVisible(Kept &kept, const TravelSample &sample, int image,
                              const Shapes &shapes);

}  // namespace dali_mix

#endif  // DALI_MIX_NATIVE_CORE_TRAVEL_H_
