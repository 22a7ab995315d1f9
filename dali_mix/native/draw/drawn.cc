// Draws a sample by each of the methods.
#include "draw/drawn.h"

#include <algorithm>
#include <cmath>

#include "core/shares.h"

namespace dali_mix {

namespace {

// Counts the exact shares of a sample of two images.
void CountPair(DrawnSample &drawn, Volume size) {
  const DrawnMask &drawn_mask = drawn.mask;
  const Mask mask = {drawn_mask.values.empty() ? nullptr : drawn_mask.values.data(),
                     drawn_mask.height, drawn_mask.width};
  int images[kMaxBoxes];
  std::fill_n(images, kMaxBoxes, 1);
  const Shares shares =
      CountShares({size.height, size.width, drawn.boxes, images, kMaxBoxes}, mask);
  const double area = static_cast<double>(size.height) * size.width;
  double own = drawn.weights[0];
  if (mask.values) {
    own *= static_cast<double>(shares.levels) / (255.0 * size.height * size.width);
  }
  const int64_t covered = shares.in_boxes[1];
  const int frames = drawn.end_frame - drawn.first_frame;
  if (covered > 0) {
    own = 1.0 - (1.0 - drawn.box_blend) * covered * frames / (area * size.frames);
  }
  drawn.lam[0] = static_cast<float>(own);
  drawn.lam[1] = 1.0f - drawn.lam[0];
}

// Draws the frames that have the boxes: 1 - lam of them if whole frames are cut, and the third side
// of a box in space and time.
void DrawFrames(const Method &method, double lam, DrawnSample &drawn, Volume size, Random &random) {
  drawn.first_frame = 0;
  drawn.end_frame = size.frames;
  if (method.extent == Extents::kSpace) {
    return;
  }
  const double power = method.extent == Extents::kTime ? 1.0 : 1.0 / 3;
  const int length = static_cast<int>(size.frames * std::pow(1 - lam, power));
  const Range frames = DrawSide(method.place, length, size.frames, random);
  drawn.first_frame = frames.begin;
  drawn.end_frame = std::max(frames.begin, frames.end);
}

DrawnSample DrawCut(const Method &method, double lam, Volume size, Random &random) {
  DrawnSample drawn;
  for (int b = 0; b < method.boxes; b++) {
    if (method.extent == Extents::kTime) {
      drawn.boxes[b] = {0, 0, size.height, size.width};
    } else {
      // A box in space and time has three sides of (1 - lam)^(1/3). Two of them are in space.
      drawn.boxes[b] =
          DrawBox(method, method.extent == Extents::kSpace ? lam : 1 - std::pow(1 - lam, 2.0 / 3),
                  size.height, size.width, random);
    }
  }
  DrawFrames(method, lam, drawn, size, random);
  CountPair(drawn, size);
  return drawn;
}

// The whole partner, made smaller (Qin et al. 2020, ResizeMix).
DrawnSample DrawResized(double side, Volume size, Random &random) {
  DrawnSample drawn;
  const int height = static_cast<int>(size.height * side);
  const int width = static_cast<int>(size.width * side);
  drawn.boxes[0] = DrawPlace(BoxPlace::kInside, height, width, size.height, size.width, random);
  drawn.end_frame = size.frames;
  const Box &box = drawn.boxes[0];
  drawn.fit[0] = box.y1 - box.y0;
  drawn.fit[1] = box.x1 - box.x0;
  CountPair(drawn, size);
  return drawn;
}

// The box of cutmix in whole patches.
DrawnSample DrawPatchBox(const Method &method, double lam, Volume size, Random &random) {
  const int h = method.patch_height, w = method.patch_width;
  const Box cells = DrawBox(method, lam, size.height / h, size.width / w, random);
  DrawnSample drawn;
  drawn.boxes[0] = {cells.y0 * h, cells.x0 * w, cells.y1 * h, cells.x1 * w};
  drawn.end_frame = size.frames;
  CountPair(drawn, size);
  return drawn;
}

DrawnSample DrawMasked(const Method &method, double lam, Volume size, Random &random) {
  DrawnSample drawn;
  drawn.end_frame = size.frames;
  switch (method.kind) {
    case Kind::kPatchMix:
      drawn.mask = DrawPatches(method, lam, size.height, size.width, random);
      break;
    case Kind::kGridMix:
      drawn.mask = DrawGrid(method, lam, size.height, size.width, random);
      break;
    case Kind::kFMix:
      drawn.mask = DrawFourier(method, lam, size.height, size.width, random);
      break;
    default:
      drawn.mask = DrawBell(method, size.height, size.width, random);
  }
  CountPair(drawn, size);
  return drawn;
}

// Draws weights from Dirichlet(alpha, …, alpha) by stick-breaking: each takes a Beta share of what
// the weights before it left. With `fold` the own image gets the largest weight.
DrawnSample DrawBlend(const Method &method, double alpha, bool fold, Volume size, Random &random) {
  DrawnSample drawn;
  drawn.end_frame = size.frames;
  double rest = 1;
  for (int k = 0; k + 1 < method.images; k++) {
    const double weight = rest * random.Beta(alpha, alpha * (method.images - 1 - k));
    drawn.weights[k] = static_cast<float>(weight);
    rest -= weight;
  }
  drawn.weights[method.images - 1] = static_cast<float>(rest);
  if (fold) {
    std::swap(drawn.weights[0], *std::max_element(drawn.weights, drawn.weights + method.images));
  }
  std::copy_n(drawn.weights, method.images, drawn.lam);
  return drawn;
}

// Draws four images around one point (Takahashi et al. 2018, RICAP). The own image takes one of the
// corners, and shows its own pixels of that corner. The others are cropped anywhere.
DrawnSample DrawCorners(double alpha, Volume size, Random &random) {
  DrawnSample drawn;
  drawn.end_frame = size.frames;
  const int y = static_cast<int>(std::lround(random.Beta(alpha, alpha) * size.height));
  const int x = static_cast<int>(std::lround(random.Beta(alpha, alpha) * size.width));
  const Box corners[4] = {
      {0, 0, y, x}, {0, x, y, size.width}, {y, 0, size.height, x}, {y, x, size.height, size.width}};
  const int own = UniformInt(random, 4);
  const double area = static_cast<double>(size.height) * size.width;
  for (int c = 0, k = 0; c < 4; c++) {
    if (c == own) {
      continue;
    }
    const Box &box = corners[c];
    const int height = box.y1 - box.y0, width = box.x1 - box.x0;
    drawn.offsets[k][0] = UniformInt(random, size.height - height + 1) - box.y0;
    drawn.offsets[k][1] = UniformInt(random, size.width - width + 1) - box.x0;
    if (box.Empty()) {
      drawn.offsets[k][0] = drawn.offsets[k][1] = 0;
    }
    drawn.boxes[k] = box.Empty() ? Box{} : box;
    k++;
    drawn.lam[k] = static_cast<float>(static_cast<double>(height) * width / area);
  }
  const Box &own_box = corners[own];
  drawn.lam[0] = static_cast<float>(static_cast<double>(own_box.y1 - own_box.y0) *
                                    (own_box.x1 - own_box.x0) / area);
  return drawn;
}

DrawnSample DrawMixUp(double share, Volume size) {
  DrawnSample drawn;
  drawn.weights[0] = static_cast<float>(share);
  drawn.weights[1] = static_cast<float>(1 - share);
  drawn.end_frame = size.frames;
  CountPair(drawn, size);
  return drawn;
}

// Mixes the part of the own image that the partner reaches if the two lie centre on centre.
DrawnSample DrawOverlap(const Method &method, double share, Volume size, Volume partner,
                        const RandomStreams &streams, int number, int unit) {
  const int height = std::min(size.height, partner.height);
  const int width = std::min(size.width, partner.width);
  const int y = (size.height - height) / 2, x = (size.width - width) / 2;
  DrawnSample drawn;
  if (method.kind == Kind::kMixUp) {
    drawn.boxes[0] = {0, 0, height, width};
    drawn.box_blend = static_cast<float>(share);
    drawn.end_frame = size.frames;
  } else {
    const auto place = streams.Open(unit, kMethod + 2 * number + 1);
    drawn = DrawCut(method, share, {size.frames, height, width}, *place);
  }
  for (int b = 0; b < method.boxes; b++) {
    Box &box = drawn.boxes[b];
    if (!box.Empty()) {
      box = {box.y0 + y, box.x0 + x, box.y1 + y, box.x1 + x};
    }
  }
  drawn.offsets[0][0] = (partner.height - height) / 2 - y;
  drawn.offsets[0][1] = (partner.width - width) / 2 - x;
  CountPair(drawn, size);
  return drawn;
}

// The share that the own image of a pair should keep, before counting.
double DrawShare(const Method &method, const Wanted &wanted, Random &random) {
  if (wanted.lam) {
    return *wanted.lam;
  }
  if (method.uniform.low >= 0) {
    return static_cast<float>(Uniform(random, method.uniform.low, method.uniform.high));
  }
  const double t = random.Beta(wanted.alpha, wanted.alpha);
  // Rounded as the plan stores it, so that results follow from the plan.
  return static_cast<float>(wanted.fold ? std::max(t, 1.0 - t) : t);
}

// The sides of the resized partner, as a share of those of the output.
double DrawSides(const Method &method, const Wanted &wanted, Random &random) {
  return wanted.lam ? std::sqrt(1.0 - *wanted.lam)
                    : Uniform(random, method.scope.low, method.scope.high);
}

}  // namespace

DrawnSample DrawSample(const Method &method, int number, const Wanted &wanted, Volume size,
                       Volume partner, const RandomStreams &streams, int unit) {
  if (wanted.alpha == 0 && !wanted.lam) {
    return {};
  }
  // A stream is opened only if it is needed, because seeking to it takes a while.
  const auto weights = [&] { return streams.Open(unit, kMethod + 2 * number); };
  const auto place = [&] { return streams.Open(unit, kMethod + 2 * number + 1); };
  if (method.overlap) {
    const double share = DrawShare(method, wanted, *weights());
    return DrawOverlap(method, share, size, partner, streams, number, unit);
  }
  switch (method.kind) {
    case Kind::kMultiMix:
      if (method.images > 2) {
        return DrawBlend(method, wanted.alpha, wanted.fold, size, *weights());
      }
      [[fallthrough]];
    case Kind::kMixUp:
      return DrawMixUp(DrawShare(method, wanted, *weights()), size);
    case Kind::kCutMix:
      return DrawCut(method, DrawShare(method, wanted, *weights()), size, *place());
    case Kind::kResizeMix:
      return DrawResized(DrawSides(method, wanted, *weights()), size, *place());
    case Kind::kRicap:
      return DrawCorners(wanted.alpha, size, *place());
    case Kind::kPatchMix:
      if (!method.scattered) {
        return DrawPatchBox(method, DrawShare(method, wanted, *weights()), size, *place());
      }
      [[fallthrough]];
    default:
      return DrawMasked(method, DrawShare(method, wanted, *weights()), size, *place());
  }
}

DrawnSample TakeBox(const Box &box, Volume size) {
  DrawnSample drawn;
  drawn.end_frame = size.frames;
  drawn.boxes[0] = {std::max(box.y0, 0), std::max(box.x0, 0), std::min(box.y1, size.height),
                    std::min(box.x1, size.width)};
  if (drawn.boxes[0].Empty()) {
    drawn.boxes[0] = Box{};
  }
  CountPair(drawn, size);
  return drawn;
}

}  // namespace dali_mix
