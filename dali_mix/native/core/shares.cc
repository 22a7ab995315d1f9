// Counts the pixels of an output, and the levels of a mask over them.
#include "core/shares.h"

#include <vector>

namespace dali_mix {

namespace {

// The sum of the mask over the pixels of a part of the output. `cells`: the column of the mask for
// each column of the output; empty: the same one.
int64_t SumOfLevels(const Mask &mask, const std::vector<int> &cells, Box part, int height) {
  int64_t sum = 0;
  for (int y = part.y0; y < part.y1;) {
    const int row = CellAt(y, mask.height, height);
    int rows = 1;  // rows of the output that take this row of the mask
    while (y + rows < part.y1 && CellAt(y + rows, mask.height, height) == row) {
      rows++;
    }
    const uint8_t *levels = mask.values + static_cast<ptrdiff_t>(row) * mask.width;
    int along = 0;  // at most 255 * width
    for (int x = part.x0; x < part.x1; x++) {
      along += levels[cells.empty() ? x : cells[x]];
    }
    sum += static_cast<int64_t>(rows) * along;
    y += rows;
  }
  return sum;
}

}  // namespace

Shares CountShares(const BoxedOutput &output, const Mask &mask) {
  std::vector<int> cells(mask.values && mask.width != output.width ? output.width : 0);
  for (size_t x = 0; x < cells.size(); x++) {
    cells[x] = CellAt(static_cast<int>(x), mask.width, output.width);
  }
  Shares shares;
  VisitParts(output, [&](Box part, int image) {
    const int64_t area = int64_t{part.y1 - part.y0} * (part.x1 - part.x0);
    if (image > 0) {
      shares.in_boxes[image] += area;
      return;
    }
    shares.bare += area;
    shares.levels += mask.values ? SumOfLevels(mask, cells, part, output.height) : 255 * area;
  });
  return shares;
}

}  // namespace dali_mix
