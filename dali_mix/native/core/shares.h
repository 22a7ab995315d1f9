// Counts how much of an output each image fills. All shares are counted here.
#ifndef DALI_MIX_NATIVE_CORE_SHARES_H_
#define DALI_MIX_NATIVE_CORE_SHARES_H_

#include <algorithm>
#include <array>
#include <cstdint>

#include "core/api.h"
#include "core/sample.h"

namespace dali_mix {

// The boxes of one output, of `height` x `width` pixels. Later ones cover earlier ones.
struct BoxedOutput {
  int height, width;
  const Box *boxes;   // [count]
  const int *images;  // [count]: the image that each box shows, from 1 on
  int count;
};

// Numbers of pixels of one output.
struct Shares {
  int64_t in_boxes[kMaxImages] = {};  // pixels at which boxes show each image
  int64_t bare = 0;                   // pixels outside the boxes
  int64_t levels = 0;                 // sum of the mask over bare pixels; 255 each without a mask
};

// Counts by rectangles; with a mask, by its rows and columns.
DALI_MIX_API Shares CountShares(const BoxedOutput &output, const Mask &mask);

// Calls visit(part, image) for rectangles that together cover the output. `image` is the image that
// a box shows in the whole part, or 0 if no box covers it.
template <typename Visit>
void VisitParts(const BoxedOutput &output, Visit &&visit) {
  constexpr int kMostEdges = 2 * kMaxBoxes + 2;
  struct Edges {
    std::array<int, kMostEdges> at;
    int count = 0;
  } rows, columns;
  const auto add = [](Edges &edges, int begin, int end) {
    edges.at[edges.count++] = begin;
    edges.at[edges.count++] = end;
  };
  add(rows, 0, output.height);
  add(columns, 0, output.width);
  for (int b = 0; b < output.count; b++) {
    if (!output.boxes[b].Empty()) {
      add(rows, output.boxes[b].y0, output.boxes[b].y1);
      add(columns, output.boxes[b].x0, output.boxes[b].x1);
    }
  }
  std::sort(rows.at.begin(), rows.at.begin() + rows.count);
  std::sort(columns.at.begin(), columns.at.begin() + columns.count);
  for (int r = 0; r + 1 < rows.count; r++) {
    for (int c = 0; c + 1 < columns.count; c++) {
      const Box part = {rows.at[r], columns.at[c], rows.at[r + 1], columns.at[c + 1]};
      if (part.Empty()) {
        continue;
      }
      int b = output.count - 1;
      while (b >= 0 && !output.boxes[b].Holds(part.y0, part.x0)) {
        b--;
      }
      visit(part, b < 0 ? 0 : output.images[b]);
    }
  }
}

}  // namespace dali_mix

#endif  // DALI_MIX_NATIVE_CORE_SHARES_H_
