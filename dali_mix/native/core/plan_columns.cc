// Checks the columns of a plan, and reads them sample by sample.
#include "core/plan_columns.h"

#include <algorithm>
#include <cmath>

#include "core/refuse.h"

namespace dali_mix {

void CheckPartner(int partner, int sample, int batch, int inputs) {
  if (partner < 0 || partner >= batch * inputs) {
    Refuse("partner must be an index into the batch of ", batch,
           inputs > 1 ? " and the others behind it" : "", ", got ", partner, " for sample ", sample,
           ".");
  }
}

void PlanColumns::Check(int batch) {
  images = 2;
  if (batch == 0) {
    return;
  }
  if (partner.given) {
    images = partner.length + 1;
  }
  const auto check = [](const char *name, bool right, const std::string &rule, int got) {
    if (!right) {
      Refuse(name, " must hold ", rule, " for each sample, got ", got, ".");
    }
  };
  const int most = kMaxImages - HasCanvas();
  check("partner", 2 <= images && images <= most, Text("1 to ", most - 1, " values"), images - 1);
  check("frames", !frames.given || frames.length == 2, "2 values", frames.length);
  check("box_blend", !box_blend.given || box_blend.length == 1, "1 value", box_blend.length);
  if (box_blend.given && (images > 2 || HasCanvas() || fit.given)) {
    Refuse("box_blend needs plans of two images, without fill and fit.");
  }
  if (size.given && size.length != 2 && size.length != 3) {
    Refuse("size must hold 2 values for each sample, or 3 for sequences, got ", size.length, ".");
  }
  if (HasCanvas()) {
    return CheckCanvas();
  }
  const int weights = images == 2 ? 1 : images;
  check("blend", blend.length == weights || blend.length == 1, Text(weights, " values"),
        blend.length);
  check("box", box.length % 4 == 0 && 1 <= Boxes() && Boxes() <= kMaxBoxes,
        Text("4 values for each of 1 to ", kMaxBoxes, " boxes"), box.length);
  check("box", images == 2 || Boxes() == images - 1 || !box.given,
        Text("4 values for each of the ", images - 1, " partners"), box.length);
  check("fit", !fit.given || fit.length == 1 || fit.length == 2, "1 or 2 values", fit.length);
  check("offset", !offset.given || offset.length == 2 * (images - 1),
        Text(2 * (images - 1), " values"), offset.length);
}

void PlanColumns::CheckCanvas() const {
  const auto check = [](const char *name, const Column<int> &column, int length) {
    if (column.length != length) {
      Refuse(name, " must hold ", length, " values for each sample of a plan with fill, got ",
             column.length, ".");
    }
  };
  check("box", box, 4 * images);
  check("offset", offset, 2 * images);
  if (!size.given) {
    Refuse("fill needs size, the height and width of the canvas.");
  }
  if (fill.length < 1) {
    Refuse("fill must hold a value for all channels or one for each, got none.");
  }
  if (fit.given) {
    Refuse("fill cannot be combined with fit.");
  }
  if (view.given) {
    check("view", view, 2);
  }
}

std::vector<Extent> CanvasesOf(const PlanColumns &plan, int batch) {
  std::vector<Extent> canvases;
  for (int i = 0; plan.HasCanvas() && i < batch; i++) {
    canvases.push_back(plan.Size(i));
    const auto [height, width] = canvases.back();
    if (height < 1 || width < 1) {
      Refuse("size must be at least 1 x 1 pixels, got ", height, " x ", width, " for sample ", i,
             ".");
    }
  }
  return canvases;
}

Extent PlanColumns::Size(int sample) const {
  const int *values = size[sample] + size.length - 2;
  return {values[0], values[1]};
}

int PlanColumns::Partner(int sample, int image, int batch, int inputs) const {
  if (!partner.given) {
    return sample;
  }
  const int index = partner[sample][image - 1];
  CheckPartner(index, sample, batch, inputs);
  return index;
}

void PlanColumns::Weights(int sample, double *weights) const {
  if (HasCanvas()) {
    weights[0] = 1;
    return;
  }
  double sum = 0;
  for (int k = 0; k < blend.length; k++) {
    const float weight = blend[sample][k];
    if (!(weight >= 0 && weight <= 1)) {
      Refuse("blend must be in [0, 1], got ", weight, " for sample ", sample, ".");
    }
    weights[k] = weight;
    sum += weights[k];
  }
  if (blend.length == 1) {
    weights[1] = 1 - weights[0];
    return;
  }
  if (std::abs(sum - 1) > 1e-3) {
    Refuse("blend must sum to 1, got ", sum, " for sample ", sample, ".");
  }
  for (int k = 0; k < blend.length; k++) {
    weights[k] /= sum;
  }
}

double PlanColumns::BoxBlend(int sample) const {
  if (!box_blend.given) {
    return 0;
  }
  const float weight = box_blend[sample][0];
  if (!(weight >= 0 && weight <= 1)) {
    Refuse("box_blend must be in [0, 1], got ", weight, " for sample ", sample, ".");
  }
  if (weight > 0 && blend[sample][0] != 1) {
    Refuse("box_blend needs a blend of 1 outside the boxes, got ", blend[sample][0], " for sample ",
           sample, ".");
  }
  return weight;
}

Box PlanColumns::BoxOf(int sample, int b, Extent output) const {
  const int *values = box[sample] + 4 * b;
  const Box read = {values[0], values[1], values[2], values[3]};
  if (!(0 <= read.y0 && read.y0 <= read.y1 && read.y1 <= output.height && 0 <= read.x0 &&
        read.x0 <= read.x1 && read.x1 <= output.width)) {
    Refuse("box must be (y0, x0, y1, x1) inside the output of ", output.height, " x ", output.width,
           ", got (", read.y0, ", ", read.x0, ", ", read.y1, ", ", read.x1, ") for sample ", sample,
           ".");
  }
  return read;
}

Range PlanColumns::BoxedFrames(int sample, int count) const {
  if (!frames.given) {
    return {0, count};
  }
  const Range boxed = {frames[sample][0], frames[sample][1]};
  if (!(0 <= boxed.begin && boxed.begin <= boxed.end && boxed.end <= count)) {
    Refuse("frames must be (begin, end) inside the ", count, " frames of the sample, got (",
           boxed.begin, ", ", boxed.end, ") for sample ", sample, ".");
  }
  return boxed;
}

MixedSample PlanColumns::SampleOf(int sample, int batch, int inputs, Extent output,
                                  int frame_count) const {
  MixedSample mixed = {};
  mixed.canvas = HasCanvas();
  mixed.images = images + mixed.canvas;
  std::fill(mixed.index, mixed.index + kMaxImages, sample);
  for (int k = 1; k < mixed.images; k++) {
    const int partner_number = k - mixed.canvas;
    if (partner_number > 0) {
      mixed.index[k] = Partner(sample, partner_number, batch, inputs);
    }
    if (offset.given) {
      std::copy_n(offset[sample] + 2 * (k - 1), 2, mixed.offset[k]);
    }
  }
  mixed.fitted = fit.given && fit[sample][0] != 0;
  Weights(sample, mixed.weights);
  const double inside = BoxBlend(sample);
  for (int b = 0; b < Boxes(); b++) {
    const Box read = BoxOf(sample, b, output);
    if (!read.Empty() && inside < 1) {
      mixed.shows[mixed.boxes] = inside > 0 ? kBlended : ShownIn(b);
      mixed.box[mixed.boxes] = read;
      mixed.boxes++;
    }
  }
  mixed.blends_inside = inside > 0 && mixed.boxes > 0;
  if (mixed.blends_inside) {
    mixed.weights[0] = inside;
    mixed.weights[1] = 1 - inside;
  }
  mixed.boxed_frames = BoxedFrames(sample, frame_count);
  return mixed;
}

}  // namespace dali_mix
