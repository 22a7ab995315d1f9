// Draws the boxes of the cut family.
#ifndef DALI_MIX_NATIVE_DRAW_BOX_H_
#define DALI_MIX_NATIVE_DRAW_BOX_H_

#include "draw/method.h"
#include "draw/random.h"

namespace dali_mix {

// A side of `length` pixels, at most as long as the image, at the place that the law gives it.
Range DrawSide(BoxPlace place, int length, int size, Random &random);

// A box of that size; all zero where nothing is left of it.
Box DrawPlace(BoxPlace place, int box_height, int box_width, int height, int width, Random &random);

// A box that leaves the share `lam` to the own image, before clipping.
Box DrawBox(const Method &method, double lam, int height, int width, Random &random);

}  // namespace dali_mix

#endif  // DALI_MIX_NATIVE_DRAW_BOX_H_
