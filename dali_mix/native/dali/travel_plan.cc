// The plan as fn.dali_mix.travel reads it.
#include <algorithm>

#include "core/travel.h"

namespace dali_mix {

TravelPlan::TravelPlan(const dali::OpSpec &spec) : plan_(spec), views_("views", spec) {}

void TravelPlan::Acquire(const dali::ArgumentWorkspace &ws, int batch_size, int sources) {
  batch_ = batch_size;
  inputs_ = batch_size > 0 ? sources / batch_size : 1;
  plan_.Acquire(ws, batch_size);
  views_.Acquire(ws, batch_size);
  if (batch_size > 0 && views_.Given() && views_.Length() != 2 * inputs_) {
    Refuse("views must hold ", 2 * inputs_, " values for each sample, got ", views_.Length(), ".");
  }
}

Mixture TravelPlan::MixtureOf(int i) const {
  Mixture mixture = {};
  const Extent size = plan_.Size(i);
  mixture.height = size.height, mixture.width = size.width;
  if (size.height < 1 || size.width < 1) {
    Refuse("size must be at least 1 x 1 pixels, got ", size.height, " x ", size.width,
           " for sample ", i, ".");
  }
  mixture.images = plan_.Images();
  std::fill(mixture.index, mixture.index + kMaxImages, i);
  for (int k = 1; k < plan_.Images(); k++) {
    mixture.index[k] = plan_.Partner(i, k, batch_, inputs_);
  }
  plan_.Weights(i, mixture.weights);
  ReadBoxes(mixture, i);
  // An image mixed with nothing but itself is unmixed.
  if (plan_.Images() == 2 && mixture.index[1] == i) {
    mixture.images = 1, mixture.boxes = 0, mixture.weights[0] = 1;
  }
  for (int k = 0; k < mixture.images; k++) {
    mixture.places[k] = PlaceOf(mixture, i, k);
  }
  return mixture;
}

void TravelPlan::ReadBoxes(Mixture &mixture, int i) const {
  for (int b = 0; b < plan_.Boxes(); b++) {
    const Box box = plan_.BoxOf(i, b, {mixture.height, mixture.width});
    if (box.Empty()) {
      continue;
    }
    mixture.shows[mixture.boxes] = plan_.ShownIn(b);
    mixture.box[mixture.boxes++] = box;
  }
}

Placement TravelPlan::PlaceOf(const Mixture &mixture, int i, int image) const {
  if (image == 1 && plan_.fit.Given() && plan_.fit[i][0] != 0 && mixture.boxes > 0) {
    const Box &box = mixture.box[0];  // that of the first partner, if it has one
    return {double(box.y1) - box.y0, double(box.x1) - box.x0, double(box.y0), double(box.x0)};
  }
  Placement place = {double(mixture.height), double(mixture.width), 0, 0};
  const int index = mixture.index[image];
  if (views_.Given()) {
    const int *view = views_[index % batch_] + 2 * (index / batch_);
    place.height = view[0], place.width = view[1];
  }
  if (image > 0 && plan_.offset.Given()) {
    const int *offset = plan_.offset[i] + 2 * (image - 1);
    place.y = -double(offset[0]), place.x = -double(offset[1]);
  }
  return place;
}

}  // namespace dali_mix
