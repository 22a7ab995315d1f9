// What is refused of a plan, whatever it is for.
#include "plan_values.h"

#include <cmath>

namespace dali_mix {

int ReadPartner(int index, int batch, int inputs, int sample) {
  if (index < 0 || index >= batch * inputs)
    Refuse("partner must be an index into the batch of ", batch,
           inputs > 1 ? " and the others behind it" : "", ", got ", index, " for sample ", sample,
           ".");
  return index;
}

void ReadBlend(const Column<float> &blend, int sample, double *weights) {
  const int count = blend.Length();
  double sum = 0;
  for (int k = 0; k < count; k++) {
    const float weight = blend[sample][k];
    if (!(weight >= 0 && weight <= 1))
      Refuse("blend must be in [0, 1], got ", weight, " for sample ", sample, ".");
    sum += weights[k] = weight;
  }
  if (count == 1) {
    weights[1] = 1 - weights[0];
    return;
  }
  if (std::abs(sum - 1) > 1e-3)
    Refuse("blend must sum to 1, got ", sum, " for sample ", sample, ".");
  for (int k = 0; k < count; k++) weights[k] /= sum;
}

Box ReadBox(const int *values, Extent size, int sample) {
  const Box box = {values[0], values[1], values[2], values[3]};
  if (!(0 <= box.y0 && box.y0 <= box.y1 && box.y1 <= size.height && 0 <= box.x0 &&
        box.x0 <= box.x1 && box.x1 <= size.width))
    Refuse("box must be (y0, x0, y1, x1) inside the output of ", size.height, " x ", size.width,
           ", got (", box.y0, ", ", box.x0, ", ", box.y1, ", ", box.x1, ") for sample ", sample,
           ".");
  return box;
}

}  // namespace dali_mix
