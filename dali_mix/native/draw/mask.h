// Draws masks: own weights in 1/255, for pixels or for cells of the output.
#ifndef DALI_MIX_NATIVE_DRAW_MASK_H_
#define DALI_MIX_NATIVE_DRAW_MASK_H_

#include "draw/method.h"
#include "draw/random.h"

namespace dali_mix {

// An empty one stands for no mask.
struct DrawnMask {
  int height = 0, width = 0;
  std::vector<uint8_t> values = {};
};

// `lam`: the share of the own image. The mask comes as near to it as it can.
DrawnMask DrawPatches(const Method &method, double lam, int height, int width, Random &random);
DrawnMask DrawGrid(const Method &method, double lam, int height, int width, Random &random);
DrawnMask DrawFourier(const Method &method, double lam, int height, int width, Random &random);
DrawnMask DrawBell(const Method &method, int height, int width, Random &random);

}  // namespace dali_mix

#endif  // DALI_MIX_NATIVE_DRAW_MASK_H_
