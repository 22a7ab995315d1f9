// What is refused of a plan, whatever it is for.
#include "core/plan_columns.h"

#include <cmath>

namespace dali_mix {

PlanColumns::PlanColumns(const dali::OpSpec &spec)
    : partner("partner", spec),
      box("box", spec),
      size("size", spec),
      offset("offset", spec),
      fit("fit", spec),
      frames("frames", spec),
      blend("blend", spec) {}

void PlanColumns::Acquire(const dali::ArgumentWorkspace &ws, int batch_size) {
  for (auto *column : {&partner, &box, &size, &offset, &fit, &frames}) {
    column->Acquire(ws, batch_size);
  }
  blend.Acquire(ws, batch_size);
  images_ = 2;
  if (batch_size == 0) {
    return;
  }
  if (partner.Given()) {
    images_ = partner.Length() + 1;
  }
  const auto check = [](const char *name, bool right, const std::string &rule, int got) {
    if (!right) {
      Refuse(name, " must hold ", rule, " for each sample, got ", got, ".");
    }
  };
  check("partner", 2 <= images_ && images_ <= kMaxImages,
        dali::make_string("1 to ", kMaxImages - 1, " values"), images_ - 1);
  const int weights = images_ == 2 ? 1 : images_;
  check("blend", blend.Length() == weights || blend.Length() == 1,
        dali::make_string(weights, " values"), blend.Length());
  check("box", box.Length() % 4 == 0 && 1 <= Boxes() && Boxes() <= kMaxBoxes,
        dali::make_string("4 values for each of 1 to ", kMaxBoxes, " boxes"), box.Length());
  check("box", images_ == 2 || Boxes() == images_ - 1 || !box.Given(),
        dali::make_string("4 values for each of the ", images_ - 1, " partners"), box.Length());
  if (size.Given() && size.Length() != 2 && size.Length() != 3) {
    Refuse("size must hold 2 values for each sample, or 3 for sequences, got ", size.Length(), ".");
  }
  check("fit", !fit.Given() || fit.Length() == 1 || fit.Length() == 2, "1 or 2 values",
        fit.Length());
  check("offset", !offset.Given() || offset.Length() == 2 * (images_ - 1),
        dali::make_string(2 * (images_ - 1), " values"), offset.Length());
  check("frames", !frames.Given() || frames.Length() == 2, "2 values", frames.Length());
}

int PlanColumns::Partner(int sample, int image, int batch, int inputs) const {
  if (!partner.Given()) {
    return sample;
  }
  const int index = partner[sample][image - 1];
  if (index < 0 || index >= batch * inputs) {
    Refuse("partner must be an index into the batch of ", batch,
           inputs > 1 ? " and the others behind it" : "", ", got ", index, " for sample ", sample,
           ".");
  }
  return index;
}

void PlanColumns::Weights(int sample, double *weights) const {
  const int count = blend.Length();
  double sum = 0;
  for (int k = 0; k < count; k++) {
    const float weight = blend[sample][k];
    if (!(weight >= 0 && weight <= 1)) {
      Refuse("blend must be in [0, 1], got ", weight, " for sample ", sample, ".");
    }
    sum += weights[k] = weight;
  }
  if (count == 1) {
    weights[1] = 1 - weights[0];
    return;
  }
  if (std::abs(sum - 1) > 1e-3) {
    Refuse("blend must sum to 1, got ", sum, " for sample ", sample, ".");
  }
  for (int k = 0; k < count; k++) {
    weights[k] /= sum;
  }
}

Box PlanColumns::BoxOf(int sample, int b, Extent size) const {
  const int *values = box[sample] + 4 * b;
  const Box read = {values[0], values[1], values[2], values[3]};
  if (!(0 <= read.y0 && read.y0 <= read.y1 && read.y1 <= size.height && 0 <= read.x0 &&
        read.x0 <= read.x1 && read.x1 <= size.width)) {
    Refuse("box must be (y0, x0, y1, x1) inside the output of ", size.height, " x ", size.width,
           ", got (", read.y0, ", ", read.x0, ", ", read.y1, ", ", read.x1, ") for sample ", sample,
           ".");
  }
  return read;
}

Extent PlanColumns::Size(int sample) const {
  const int *values = size[sample] + size.Length() - 2;
  return {values[0], values[1]};
}

Range PlanColumns::Frames(int sample, int count) const {
  if (!frames.Given()) {
    return {0, count};
  }
  const Range span = {frames[sample][0], frames[sample][1]};
  if (!(0 <= span.begin && span.begin <= span.end && span.end <= count)) {
    Refuse("frames must be (begin, end) inside the ", count, " frames of the sample, got (",
           span.begin, ", ", span.end, ") for sample ", sample, ".");
  }
  return span;
}

}  // namespace dali_mix
