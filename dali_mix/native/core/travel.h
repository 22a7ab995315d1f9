// How boxes and points travel with their images: the plan as they see it, and what is left of them.
#ifndef DALI_MIX_NATIVE_CORE_TRAVEL_H_
#define DALI_MIX_NATIVE_CORE_TRAVEL_H_

#include <vector>

#include "core/plan_columns.h"
#include "core/shares.h"

namespace dali_mix {

// Boxes (4 columns) or points (2) of one image, relative to what is seen of it.
struct Shapes {
  const float *values;  // [count][columns]
  const int *labels;    // [count]
  int count, columns;
};

// What is left of all images of a sample.
struct Kept {
  std::vector<float> values;
  std::vector<int> labels;
  std::vector<float> weights;
};

// Where relative coordinates come to lie on the output, in pixels.
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

  // Of one pixel that has no box.
  double BareWeightAt(int image, int y, int x) const;
  // The same for pixels in a box too.
  double WeightAt(int image, int y, int x) const;
  BoxedOutput Boxes() const {
    return {size.height, size.width, mixed.box, mixed.shows, mixed.boxes};
  }
};

// Sample i of a batch as its plan says, without the mask. `views`: (height, width) of what is seen
// of image i of each input.
TravelSample ReadTravel(const PlanColumns &plan, const Column<int> &views, int i, int batch,
                        int inputs);

// Refuses what is not finite, or inside out.
void CheckShapes(const Shapes &shapes, int sample);

// Appends what shows of the shapes of that image.
void KeepVisible(Kept &kept, const TravelSample &sample, int image, const Shapes &shapes);

}  // namespace dali_mix

#endif  // DALI_MIX_NATIVE_CORE_TRAVEL_H_
