// What a method is told: its name and options, as one line of text, "cutmix place=inside boxes=2".
#ifndef DALI_MIX_NATIVE_DRAW_METHOD_H_
#define DALI_MIX_NATIVE_DRAW_METHOD_H_

#include <string>
#include <vector>

#include "core/sample.h"

namespace dali_mix {

enum class Kind {
  kMixUp,
  kCutMix,
  kResizeMix,
  kPatchMix,
  kGridMix,
  kFMix,
  kSmoothMix,
  kMultiMix,
  kRicap
};

// Where a box lies: its centre anywhere and clipped; inside the image; or so that every pixel is
// covered equally often.
enum class BoxPlace { kCenter, kInside, kUniform };

// What a box cuts out of a sequence: a part of every frame, whole frames, or a part of some.
enum class Extents { kSpace, kTime, kSpaceTime };

struct Interval {
  double low, high;
};

struct Method {
  Kind kind = Kind::kMixUp;
  BoxPlace place = BoxPlace::kCenter;
  Extents extent = Extents::kSpace;
  Interval minmax = {0, 0};      // of both sides, as shares of the image's; 0, 0: by alpha
  Interval aspect = {1, 1};      // of the box, relative to the image's
  Interval scope = {0.1, 0.8};   // ResizeMix: of both sides, as shares
  Interval sigma = {0.25, 0.5};  // SmoothMix: of the bell, as a share of each side
  Interval holes = {2, 6};       // GridMix: along each axis
  double decay = 3;              // FMix: of the amplitudes, a power of the frequency
  int boxes = 1;
  int patch_height = 16, patch_width = 16;
  bool scattered = false;  // PatchMix: single patches rather than a box
  int images = 2;          // mixed in one sample

  bool DrawsMask() const {
    return kind == Kind::kGridMix || kind == Kind::kFMix || kind == Kind::kSmoothMix ||
           (kind == Kind::kPatchMix && scattered);
  }
  bool DrawsFrames() const { return extent != Extents::kSpace; }
};

// Each line of text as a method. Refuses what is none, and no line at all.
std::vector<Method> ParseMethods(const std::vector<std::string> &lines);

// Which columns a plan of these methods has beyond those that all plans have, in their order.
struct FurtherColumns {
  bool offset, fit, frames, mask;
};
FurtherColumns FurtherColumnsOf(const std::vector<Method> &methods);

}  // namespace dali_mix

#endif  // DALI_MIX_NATIVE_DRAW_METHOD_H_
