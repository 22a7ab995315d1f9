// Methods and their options. They are written as a line of text: "cutmix place=inside boxes=2".
#ifndef DALI_MIX_NATIVE_DRAW_METHOD_H_
#define DALI_MIX_NATIVE_DRAW_METHOD_H_

#include <string>
#include <vector>

#include "core/api.h"
#include "core/plan_columns.h"

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
  kRicap,
  kMosaic
};

// Where a box lies: its centre is any pixel and it is clipped; it is inside the image; or it is
// clipped and covers every pixel equally often.
enum class BoxPlace { kCenter, kInside, kUniform };

// What a box cuts out of a sequence: a part of every frame, whole frames, or a part of some frames.
enum class Extents { kSpace, kTime, kSpaceTime };

struct Interval {
  double low, high;
};

struct Method {
  Kind kind = Kind::kMixUp;
  BoxPlace place = BoxPlace::kCenter;
  Extents extent = Extents::kSpace;
  Interval uniform = {-1, -1};   // MixUp: the range of lam; below 0: alpha decides
  Interval minmax = {0, 0};      // sides of the box as shares of the image's; 0, 0: alpha decides
  Interval aspect = {1, 1};      // height over width of the box, relative to the image's
  Interval scope = {0.1, 0.8};   // ResizeMix: sides of the box as a share of the image's
  Interval sigma = {0.25, 0.5};  // SmoothMix: width of the bell as a share of each side
  Interval holes = {2, 6};       // GridMix: number along each side
  double decay = 3;              // FMix: amplitudes fall with this power of the frequency
  int boxes = 1;
  int patch_height = 16, patch_width = 16;
  bool scattered = false;           // PatchMix: single patches rather than a box
  bool overlap = false;             // MixUp, CutMix: pairs of any two sizes
  int images = 2;                   // number of images that one sample mixes
  Extent canvas = {640, 640};       // Mosaic: half of each side of the whole mosaic
  bool cropped = false;             // Mosaic: the output is a part of it, of the size of `canvas`
  std::vector<float> fill = {114};  // Mosaic: value of the pixels that no image covers

  bool DrawsMask() const {
    return kind == Kind::kGridMix || kind == Kind::kFMix || kind == Kind::kSmoothMix ||
           (kind == Kind::kPatchMix && scattered);
  }
  // Whether the draw needs the sizes of all images.
  bool NeedsSizes() const { return HasCanvas() || overlap; }
  bool HasCanvas() const { return kind == Kind::kMosaic; }
  bool DrawsFrames() const { return extent != Extents::kSpace; }
};

// Reads a method from each line of text. Refuses wrong lines, and an empty list.
DALI_MIX_API std::vector<Method> ParseMethods(const std::vector<std::string> &lines);

// The optional columns that a plan of these methods has, in their order.
struct FurtherColumns {
  bool offset, fit, frames, mask, fill, box_blend;  // with `fill` comes `view`

  int Count() const { return offset + fit + frames + mask + 2 * fill + box_blend; }
};
DALI_MIX_API FurtherColumns FurtherColumnsOf(const std::vector<Method> &methods);

}  // namespace dali_mix

#endif  // DALI_MIX_NATIVE_DRAW_METHOD_H_
