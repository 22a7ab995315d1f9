// Places the images of a mosaic.
#include "draw/mosaic.h"

#include <algorithm>

#include "core/shares.h"

namespace dali_mix {

namespace {

struct Point {
  int y, x;
};

// Shows an image of `tile` pixels whose first pixel lies at `at`, as far as the output reaches.
void Place(DrawnSample &drawn, int image, Extent tile, Point at, Extent output) {
  const Box box = {std::max(at.y, 0), std::max(at.x, 0),
                   std::min(at.y + tile.height, output.height),
                   std::min(at.x + tile.width, output.width)};
  if (box.Empty()) {
    return;
  }
  drawn.boxes[image] = box;
  drawn.offsets[image][0] = -at.y;
  drawn.offsets[image][1] = -at.x;
}

void CountShown(DrawnSample &drawn, int count, Extent output) {
  int images[kMaxBoxes];
  for (int b = 0; b < kMaxBoxes; b++) {
    images[b] = b + 1;
  }
  const Shares shares = CountShares({output.height, output.width, drawn.boxes, images, count}, {});
  const double area = static_cast<double>(output.height) * output.width;
  for (int k = 0; k < count; k++) {
    drawn.lam[k] = static_cast<float>(shares.in_boxes[k + 1] / area);
  }
}

DrawnSample Empty() {
  DrawnSample drawn;
  drawn.weights[0] = 0;  // the canvas shows outside the boxes
  drawn.lam[0] = 0;
  return drawn;
}

// Where the window of the output begins on the whole mosaic.
Point DrawWindow(const Method &method, Extent whole, Random &random) {
  const Extent output = OutputOf(method);
  const int y = UniformInt(random, whole.height - output.height + 1);
  return {y, UniformInt(random, whole.width - output.width + 1)};
}

// Four images that meet in one point, the own one above it and left of it. As in YOLO, the point
// is uniform in the middle half of each side.
DrawnSample DrawFour(const Method &method, const std::vector<Extent> &tiles, Random &random) {
  const Extent canvas = method.canvas;
  const int y = canvas.height / 2 + UniformInt(random, canvas.height);
  const int x = canvas.width / 2 + UniformInt(random, canvas.width);
  const Point window = DrawWindow(method, {2 * canvas.height, 2 * canvas.width}, random);
  DrawnSample drawn = Empty();
  for (int k = 0; k < 4; k++) {
    const Point at = {k < 2 ? y - tiles[k].height : y, k % 2 == 0 ? x - tiles[k].width : x};
    Place(drawn, k, tiles[k], {at.y - window.y, at.x - window.x}, OutputOf(method));
  }
  return drawn;
}

}  // namespace

Extent OutputOf(const Method &method) {
  const int times = method.cropped ? 1 : 2;
  return {times * method.canvas.height, times * method.canvas.width};
}

DrawnSample DrawMosaic(const Method &method, int number, const std::vector<Extent> &tiles,
                       const RandomStreams &streams, int unit) {
  const auto random = streams.Open(unit, kMethod + 2 * number + 1);
  DrawnSample drawn = DrawFour(method, tiles, *random);
  CountShown(drawn, method.images, OutputOf(method));
  return drawn;
}

DrawnSample PlaceAlone(const Method &method, Extent tile) {
  const Extent output = OutputOf(method);
  DrawnSample drawn = Empty();
  Place(drawn, 0, tile, {(output.height - tile.height) / 2, (output.width - tile.width) / 2},
        output);
  CountShown(drawn, 1, output);
  return drawn;
}

}  // namespace dali_mix
