// The masks of the methods that draw one: own weights in 1/255, for pixels or for cells.
#ifndef DALI_MIX_NATIVE_DRAW_MASK_H_
#define DALI_MIX_NATIVE_DRAW_MASK_H_

#include "draw/method.h"
#include "draw/random.h"

namespace dali_mix {

// Empty: none.
struct DrawnMask {
  int height = 0, width = 0;
  std::vector<uint8_t> values = {};
};

// `lam`: share of the own image, as near as the mask can come.
DrawnMask DrawPatches(const Method &method, double lam, int height, int width, Random &random);
DrawnMask DrawGrid(const Method &method, double lam, int height, int width, Random &random);
DrawnMask DrawFourier(const Method &method, double lam, int height, int width, Random &random);
DrawnMask DrawBell(const Method &method, int height, int width, Random &random);

}  // namespace dali_mix

#endif  // DALI_MIX_NATIVE_DRAW_MASK_H_
