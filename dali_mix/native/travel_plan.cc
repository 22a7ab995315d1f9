// The plan as fn.dali_mix.travel reads it.
#include <algorithm>

#include "plan_values.h"
#include "travel.h"

namespace dali_mix {

TravelPlan::TravelPlan(const dali::OpSpec &spec)
    : partner_("partner", spec),
      box_("box", spec),
      size_("size", spec),
      fit_("fit", spec),
      offset_("offset", spec),
      views_("views", spec),
      blend_("blend", spec) {}

void TravelPlan::Acquire(const dali::ArgumentWorkspace &ws, int batch_size, int sources) {
  batch_ = batch_size;
  inputs_ = batch_size > 0 ? sources / batch_size : 1;
  for (auto *column : {&partner_, &box_, &size_, &fit_, &offset_, &views_})
    column->Acquire(ws, batch_size);
  blend_.Acquire(ws, batch_size);
  images_ = partner_.Given() ? partner_.Length() + 1 : 2;
  const auto check = [batch_size](const char *name, bool right, const std::string &rule, int got) {
    if (batch_size > 0 && !right)
      Refuse(name, " must hold ", rule, " values for each sample, got ", got, ".");
  };
  const auto text = [](int count) { return std::to_string(count); };
  const int boxes = box_.Length() / 4, weights = images_ == 2 ? 1 : images_;
  check("partner", 2 <= images_ && images_ <= kMaxImages, "1 to " + text(kMaxImages - 1),
        images_ - 1);
  check("blend", blend_.Length() == weights || blend_.Length() == 1, text(weights),
        blend_.Length());
  check("box",
        box_.Length() % 4 == 0 && 1 <= boxes && boxes <= kMaxBoxes &&
            (images_ == 2 || boxes == images_ - 1 || !box_.Given()),
        images_ == 2 ? "4 to " + text(4 * kMaxBoxes) : text(4 * (images_ - 1)), box_.Length());
  check("size", size_.Length() == 2 || size_.Length() == 3, "2 or 3", size_.Length());
  check("fit", !fit_.Given() || fit_.Length() == 1 || fit_.Length() == 2, "1 or 2", fit_.Length());
  check("offset", !offset_.Given() || offset_.Length() == 2 * (images_ - 1),
        text(2 * (images_ - 1)), offset_.Length());
  check("views", !views_.Given() || views_.Length() == 2 * inputs_, text(2 * inputs_),
        views_.Length());
}

Mixture TravelPlan::MixtureOf(int i) const {
  Mixture mixture = {};
  const int *size = size_[i] + size_.Length() - 2;
  mixture.height = size[0], mixture.width = size[1];
  if (size[0] < 1 || size[1] < 1)
    Refuse("size must be at least 1 x 1 pixels, got ", size[0], " x ", size[1], " for sample ", i,
           ".");
  mixture.images = images_;
  std::fill(mixture.index, mixture.index + kMaxImages, i);
  for (int k = 1; k < images_ && partner_.Given(); k++)
    mixture.index[k] = ReadPartner(partner_[i][k - 1], batch_, inputs_, i);
  ReadBlend(blend_, i, mixture.weights);
  ReadBoxes(mixture, i);
  // An image mixed with nothing but itself is unmixed.
  if (images_ == 2 && mixture.index[1] == i)
    mixture.images = 1, mixture.boxes = 0, mixture.weights[0] = 1;
  for (int k = 0; k < mixture.images; k++) mixture.places[k] = PlaceOf(mixture, i, k);
  return mixture;
}

void TravelPlan::ReadBoxes(Mixture &mixture, int i) const {
  for (int b = 0; b < box_.Length() / 4; b++) {
    const Box box = ReadBox(box_[i] + 4 * b, {mixture.height, mixture.width}, i);
    if (box.Empty()) continue;
    mixture.shows[mixture.boxes] = images_ == 2 ? 1 : b + 1;
    mixture.box[mixture.boxes++] = box;
  }
}

Place TravelPlan::PlaceOf(const Mixture &mixture, int i, int image) const {
  if (image == 1 && fit_.Given() && fit_[i][0] != 0 && mixture.boxes > 0) {
    const Box &box = mixture.box[0];  // that of the first partner, if it has one
    return {double(box.y1) - box.y0, double(box.x1) - box.x0, double(box.y0), double(box.x0)};
  }
  Place place = {double(mixture.height), double(mixture.width), 0, 0};
  const int index = mixture.index[image];
  if (views_.Given()) {
    const int *view = views_[index % batch_] + 2 * (index / batch_);
    place.height = view[0], place.width = view[1];
  }
  if (image > 0 && offset_.Given()) {
    const int *offset = offset_[i] + 2 * (image - 1);
    place.y = -double(offset[0]), place.x = -double(offset[1]);
  }
  return place;
}

}  // namespace dali_mix
