// Draws one sample, and counts the share of each image in it.
#ifndef DALI_MIX_NATIVE_DRAW_DRAWN_H_
#define DALI_MIX_NATIVE_DRAW_DRAWN_H_

#include <optional>

#include "core/api.h"
#include "draw/box.h"
#include "draw/mask.h"

namespace dali_mix {

// Size of one output; `frames` is 1 for images.
struct Volume {
  int frames, height, width;
};

struct DrawnSample {
  float weights[kMaxImages] = {1};  // outside the boxes
  float box_blend = 0;              // own weight inside the boxes
  Box boxes[kMaxBoxes] = {};        // one for each partner, or several for one; on a canvas, of all
  int offsets[kMaxImages][2] = {};  // one for each partner; on a canvas, of all images
  int fit[2] = {};                  // size to which the whole partner is resized; 0, 0: it is not
  int first_frame = 0, end_frame = 0;
  DrawnMask mask;
  float lam[kMaxImages] = {1};  // counted shares
};

// How a method draws the share of the own image.
struct Wanted {
  double alpha;               // of Beta(alpha, alpha) or Dirichlet; 0: nothing is mixed
  bool fold;                  // use max(t, 1 - t) of a draw t, or the largest of several weights
  std::optional<double> lam;  // a given share, used instead of a draw
};

// Draws one sample by the method with this number, from the streams of sample `unit`, and counts
// the shares. `partner`: the size of the first partner.
DALI_MIX_API DrawnSample DrawSample(const Method &method, int number, const Wanted &wanted,
                                    Volume size, Volume partner, const RandomStreams &streams,
                                    int unit);

// The same for a given box, which is clipped to the image.
DALI_MIX_API DrawnSample TakeBox(const Box &box, Volume size);

}  // namespace dali_mix

#endif  // DALI_MIX_NATIVE_DRAW_DRAWN_H_
