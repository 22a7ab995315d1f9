// Finds the visible parts of boxes and points when their images are mixed.
#include "core/travel.h"

#include <algorithm>
#include <cmath>

#include "core/refuse.h"

namespace dali_mix {

namespace {

// Relative coordinates are rounded numbers. An edge that lies this close, in pixels, to a border
// between pixels is moved onto it. Otherwise slivers of covered boxes would show.
constexpr double kSnap = 1e-3;

double Snap(double at) {
  const double edge = std::round(at);
  return std::abs(at - edge) < kSnap ? edge : at;
}

// Length of the part of the pixels [first, last) that lies in [begin, end).
double Overlap(double begin, double end, int first, int last) {
  return std::min(end, static_cast<double>(last)) - std::max(begin, static_cast<double>(first));
}

int Clamped(double at, int length) {
  return static_cast<int>(std::clamp(at, 0.0, static_cast<double>(length)));
}

void KeepBox(Kept &kept, const TravelSample &sample, int image, const Shapes &shapes, int m) {
  const float *box = shapes.values + 4 * m;
  const Placement &place = sample.places[image];
  const int height = sample.size.height, width = sample.size.width;
  const double ends[] = {place.X(box[0]), place.Y(box[1]), place.X(box[2]), place.Y(box[3])};
  const double left = Snap(ends[0]), top = Snap(ends[1]), right = Snap(ends[2]),
               bottom = Snap(ends[3]);
  const Box pixels = {Clamped(std::floor(top), height), Clamped(std::floor(left), width),
                      Clamped(std::ceil(bottom), height), Clamped(std::ceil(right), width)};
  Box seen = {height, width, 0, 0};
  double sum = 0, visible = 0;
  const auto add = [&](Box part, double weight) {
    if (weight == 0 || part.Empty()) {
      return;
    }
    const double area =
        Overlap(top, bottom, part.y0, part.y1) * Overlap(left, right, part.x0, part.x1);
    sum += weight * area;
    visible += area;
    seen = {std::min(seen.y0, part.y0), std::min(seen.x0, part.x0), std::max(seen.y1, part.y1),
            std::max(seen.x1, part.x1)};
  };
  VisitParts(sample.Boxes(), [&](Box whole, int shown) {
    const Box part = {std::max(whole.y0, pixels.y0), std::max(whole.x0, pixels.x0),
                      std::min(whole.y1, pixels.y1), std::min(whole.x1, pixels.x1)};
    if (shown != 0) {
      return add(part, sample.WeightInBox(image, shown));
    }
    if (!sample.mask.values) {
      return add(part, sample.BareWeightAt(image, part.y0, part.x0));
    }
    for (int y = part.y0; y < part.y1; y++) {
      for (int x = part.x0; x < part.x1; x++) {
        add({y, x, y + 1, x + 1}, sample.BareWeightAt(image, y, x));
      }
    }
  });
  const double whole = (right - left) * (bottom - top);
  if (!(sum > 0) || visible < sample.min_visible * whole) {
    return;
  }
  // Edges that are not cut stay as they are.
  const double kept_ends[] = {seen.x0 > std::floor(left) ? seen.x0 : ends[0],
                              seen.y0 > std::floor(top) ? seen.y0 : ends[1],
                              seen.x1 < std::ceil(right) ? seen.x1 : ends[2],
                              seen.y1 < std::ceil(bottom) ? seen.y1 : ends[3]};
  for (int e = 0; e < 4; e++) {
    kept.values.push_back(static_cast<float>(kept_ends[e] / (e % 2 == 0 ? width : height)));
  }
  kept.labels.push_back(shapes.labels[m]);
  kept.weights.push_back(static_cast<float>(sum / whole * shapes.WeightOf(m)));
}

void KeepPoint(Kept &kept, const TravelSample &sample, int image, const Shapes &shapes, int m) {
  const float *point = shapes.values + 2 * m;
  const Placement &place = sample.places[image];
  const double x = place.X(point[0]), y = place.Y(point[1]);
  const double column = Snap(x), row = Snap(y);
  if (!(0 <= column && column <= sample.size.width && 0 <= row && row <= sample.size.height)) {
    return;
  }
  // A point on the last edge belongs to the last pixel.
  const double weight =
      sample.WeightAt(image, std::min(static_cast<int>(row), sample.size.height - 1),
                      std::min(static_cast<int>(column), sample.size.width - 1));
  if (weight == 0) {
    return;
  }
  kept.values.push_back(static_cast<float>(x / sample.size.width));
  kept.values.push_back(static_cast<float>(y / sample.size.height));
  kept.labels.push_back(shapes.labels[m]);
  kept.weights.push_back(static_cast<float>(weight * shapes.WeightOf(m)));
}

// Where an image of a sample lies on the output.
Placement PlacementOf(const PlanColumns &plan, const Column<int> &views, const TravelSample &sample,
                      int image, int batch) {
  const MixedSample &mixed = sample.mixed;
  if (image == 1 && mixed.fitted && mixed.boxes > 0) {
    const Box &box = mixed.box[0];  // the box of the first partner, if it has one
    return {double(box.y1) - box.y0, double(box.x1) - box.x0, double(box.y0), double(box.x0)};
  }
  Extent view = sample.size;
  const int index = mixed.index[image];
  const Column<int> &known = views.given ? views : plan.view;
  if (known.given) {
    const int *values = known[index % batch] + 2 * (index / batch);
    view = {values[0], values[1]};
  }
  return {double(view.height), double(view.width), 0.0 - mixed.offset[image][0],
          0.0 - mixed.offset[image][1]};
}

}  // namespace

TravelSample ReadTravel(const PlanColumns &plan, const Column<int> &views, int i, int batch,
                        int inputs) {
  TravelSample sample = {};
  sample.size = plan.Size(i);
  const auto [height, width] = sample.size;
  if (height < 1 || width < 1) {
    Refuse("size must be at least 1 x 1 pixels, got ", height, " x ", width, " for sample ", i,
           ".");
  }
  MixedSample &mixed = sample.mixed;
  mixed = plan.SampleOf(i, batch, inputs, sample.size, 1);
  // A sample that is mixed with itself only is unmixed.
  if (mixed.images == 2 && !mixed.canvas && mixed.index[1] == i) {
    mixed.images = 1;
    mixed.boxes = 0;
    mixed.blends_inside = false;
    mixed.weights[0] = 1;
  }
  for (int k = 0; k < mixed.images; k++) {
    sample.places[k] = PlacementOf(plan, views, sample, k, batch);
  }
  return sample;
}

double TravelSample::WeightAt(int image, int y, int x) const {
  for (int b = mixed.boxes - 1; b >= 0; b--) {
    if (mixed.box[b].Holds(y, x)) {
      return WeightInBox(image, mixed.shows[b]);
    }
  }
  return BareWeightAt(image, y, x);
}

double TravelSample::WeightInBox(int image, int shown) const {
  return shown == kBlended ? mixed.weights[image] : (shown == image ? 1 : 0);
}

double TravelSample::BareWeightAt(int image, int y, int x) const {
  if (mixed.blends_inside) {
    return image == 0 ? 1 : 0;
  }
  if (!mask.values || mixed.images == 1) {
    return mixed.weights[image];
  }
  const int row = CellAt(y, mask.height, size.height), column = CellAt(x, mask.width, size.width);
  const uint8_t level = mask.values[row * static_cast<ptrdiff_t>(mask.width) + column];
  const double own = mixed.weights[0] * (level / 255.0);
  return image == 0 ? own : (image == 1 ? 1 - own : 0);
}

void CheckShapes(const Shapes &shapes, int sample) {
  for (int m = 0; m < shapes.count; m++) {
    if (!(shapes.WeightOf(m) >= 0 && std::isfinite(shapes.WeightOf(m)))) {
      Refuse("weights must be finite and not negative, got ", shapes.WeightOf(m), " for sample ",
             sample, ".");
    }
    const float *at = shapes.values + m * shapes.columns;
    if (!std::all_of(at, at + shapes.columns, [](float value) { return std::isfinite(value); })) {
      Refuse("coordinates must be finite, got NaN or infinity for sample ", sample, ".");
    }
    if (shapes.columns == 4 && !(at[0] <= at[2] && at[1] <= at[3])) {
      Refuse("boxes must be (left, top, right, bottom), relative, got (", at[0], ", ", at[1], ", ",
             at[2], ", ", at[3], ") for sample ", sample, ".");
    }
  }
}

void KeepVisible(Kept &kept, const TravelSample &sample, int image, const Shapes &shapes) {
  const auto keep = shapes.columns == 4 ? KeepBox : KeepPoint;
  for (int m = 0; m < shapes.count; m++) {
    keep(kept, sample, image, shapes, m);
  }
}

}  // namespace dali_mix
