// What is drawn for one sample, and the share of each image in it.
#ifndef DALI_MIX_NATIVE_DRAW_DRAWN_H_
#define DALI_MIX_NATIVE_DRAW_DRAWN_H_

#include <optional>

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

// What a method is asked to leave to the own image.
struct Wanted {
  double alpha;               // of Beta(alpha, alpha), or of Dirichlet; 0: nothing is mixed
  bool fold;                  // take max(t, 1 - t) of a draw t; of several weights the largest
  std::optional<double> lam;  // the share itself, which is not drawn then
};

// What the method with this number draws for one sample, from the streams of sample `unit`. The
// shares are counted.
DrawnSample DrawSample(const Method &method, int number, const Wanted &wanted, Volume size,
                       const RandomStreams &streams, int unit);

// The same for a box that is given; what leaves the image is clipped.
DrawnSample TakeBox(const Box &box, Volume size);

}  // namespace dali_mix

#endif  // DALI_MIX_NATIVE_DRAW_DRAWN_H_
