// The canvas on which images lie: what shows where none of them does.
#ifndef DALI_MIX_NATIVE_CORE_CANVAS_H_
#define DALI_MIX_NATIVE_CORE_CANVAS_H_

#include <cstdint>
#include <vector>

#include "core/api.h"
#include "core/images.h"
#include "core/key.h"

namespace dali_mix {

// The canvas of each sample, as one row of pixels, which stands for all rows. The channels lie as
// in the images. There are zeros before and after each row, so that vector loads which reach beyond
// a block stay in its memory.
struct CanvasRows {
  static constexpr size_t kSlack = 64;  // bytes

  std::vector<uint8_t> bytes;  // of all samples
  std::vector<size_t> begins;  // [samples]
};

// Empty if the plan has no canvas. Integers are rounded, and saturate.
DALI_MIX_API CanvasRows MakeCanvasRows(const PlanColumns &plan, const Images &images, InType type);

}  // namespace dali_mix

#endif  // DALI_MIX_NATIVE_CORE_CANVAS_H_
