// Draws the boxes of the cut family.
#ifndef DALI_MIX_NATIVE_DRAW_BOX_H_
#define DALI_MIX_NATIVE_DRAW_BOX_H_

#include "draw/method.h"
#include "draw/random.h"

namespace dali_mix {

// Draws the place of a side of `length` pixels, which is at most `size`, by the law of `place`.
Range DrawSide(BoxPlace place, int length, int size, Random &random);

// Draws the place of a box of that size. A box that is empty after clipping is all zero.
Box DrawPlace(BoxPlace place, int box_height, int box_width, int height, int width, Random &random);

// Draws a box that leaves the share `lam` to the own image, before clipping.
Box DrawBox(const Method &method, double lam, int height, int width, Random &random);

}  // namespace dali_mix

#endif  // DALI_MIX_NATIVE_DRAW_BOX_H_
