// What is drawn for one sample, and the share of each image in it.
#ifndef DALI_MIX_NATIVE_DRAW_DRAWN_H_
#define DALI_MIX_NATIVE_DRAW_DRAWN_H_

#include "draw/box.h"
#include "draw/mask.h"

namespace dali_mix {

// Size of one output; `frames` is 1 for images.
struct Volume {
  int frames, height, width;
};

struct DrawnSample {
  float weights[kMaxImages] = {1};  // where there is no box
  Box boxes[kMaxBoxes] = {};        // of the partners, or several of one
  int offsets[kMaxImages - 1][2] = {};
  int fit[2] = {};  // size that the whole partner is given; 0, 0: its own
  int first_frame = 0, end_frame = 0;
  DrawnMask mask;
  float lam[kMaxImages] = {1};  // shares, counted
};

// Random numbers for what a method draws, each from a stream of its own.
struct Streams {
  Rng weight, place;
};

// How much the own image is to keep, before counting: Beta(alpha, alpha), folded to [0.5, 1] on
// request.
double DrawShare(double alpha, bool fold, Rng rng);

// `share`: of the own image, drawn or given. The result is counted.
DrawnSample DrawSample(const Method &method, double share, bool fold, double alpha, Volume size,
                       const Streams &streams);

// The same for a box that is given; what leaves the image is clipped.
DrawnSample TakeBox(const Box &box, Volume size);

}  // namespace dali_mix

#endif  // DALI_MIX_NATIVE_DRAW_DRAWN_H_
