// The plan as fn.dali_mix.apply reads it: what may be mixed, and what is refused.
#include <algorithm>

#include "apply_op.h"

namespace dali_mix {

using dali::ArgumentWorkspace;

namespace {

std::string ShapeText(const ImageShape &shape, Extent extent) {
  const std::string frames = shape.frame ? dali::make_string(shape.frames, "x") : std::string();
  return dali::make_string(frames, extent.height, "x", extent.width, "x", shape.channels, " (",
                           frames.empty() ? "" : "FRAMESx", "HxWxC)");
}

bool ShowsInBox(const SampleMix &mix, int image) {
  return std::find(mix.shows, mix.shows + mix.boxes, image) != mix.shows + mix.boxes;
}

}  // namespace

void ApplyArguments::AcquirePlan(const ArgumentWorkspace &ws) {
  const int count = static_cast<int>(inputs_[0].shapes.size());
  plan_.Acquire(ws, count);
  if (count > 0 && copied_ >= plan_.Images()) {
    Refuse("copied must be the number of an image, 0 to ", plan_.Images() - 1, ", got ", copied_,
           ".");
  }
  mixes_.clear();
  mixes_.reserve(count);
  for (int i = 0; i < count; i++) {
    CheckPlannedSize(i);
    mixes_.push_back(MakeMix(i));
  }
}

void ApplyArguments::CheckPlannedSize(int i) const {
  if (!plan_.size.Given()) {
    return;
  }
  const ImageShape &shape = inputs_[0].shapes[i];
  const Extent planned = plan_.Size(i), actual = inputs_[0].windows[i].size;
  if (!(planned == actual)) {
    Refuse("the plan was drawn for ", planned.height, " x ", planned.width,
           " pixels, but the output of sample ", i, " is ", actual.height, " x ", actual.width,
           ". Give plan the same crop or size.");
  }
  if (plan_.size.Length() == 3 && plan_.size[i][0] != shape.frames) {
    Refuse("the plan was drawn for ", plan_.size[i][0], " frames, but sample ", i, " has ",
           shape.frames, ". Give plan the same images.");
  }
}

SampleMix ApplyArguments::MakeMix(int i) const {
  SampleMix mix = {};
  mix.images = plan_.Images();
  ReadPartners(mix, i);
  plan_.Weights(i, mix.weights);
  ReadBoxes(mix, i);
  if (copies_) {
    CopyOneOfABlend(mix);
  }
  DropWhatDoesNotShow(mix, i);
  CheckMask(mix, i);
  CheckImages(mix, i);
  return mix;
}

void ApplyArguments::ReadPartners(SampleMix &mix, int i) const {
  const int batch = static_cast<int>(inputs_[0].shapes.size());
  std::fill(mix.index, mix.index + kMaxImages, i);
  for (int k = 1; k < plan_.Images(); k++) {
    mix.index[k] = plan_.Partner(i, k, batch, static_cast<int>(inputs_.size()));
    if (plan_.offset.Given()) {
      std::copy_n(plan_.offset[i] + 2 * (k - 1), 2, mix.offset[k]);
    }
  }
  mix.fitted = plan_.fit.Given() && plan_.fit[i][0] != 0;
}

void ApplyArguments::ReadBoxes(SampleMix &mix, int i) const {
  const Extent size = inputs_[0].windows[i].size;
  for (int b = 0; b < plan_.Boxes(); b++) {
    const Box box = plan_.BoxOf(i, b, size);
    if (box.Empty()) {
      continue;
    }
    mix.shows[mix.boxes] = plan_.ShownIn(b);
    mix.box[mix.boxes++] = box;
  }
  const auto [begin, end] = plan_.Frames(i, inputs_[0].shapes[i].frames);
  mix.first_frame = begin, mix.end_frame = end;
  if (begin == end) {
    mix.boxes = 0;
  }
}

// Maps are never blended: one of the images has the whole weight.
void ApplyArguments::CopyOneOfABlend(SampleMix &mix) const {
  int blended = 0;
  for (const double weight : mix.weights) {
    blended += weight != 0;
  }
  if (blended < 2) {
    return;
  }
  const int shown = mix.weights[copied_] != 0 ? copied_ : 0;
  std::fill(mix.weights, mix.weights + kMaxImages, 0.0);
  mix.weights[shown] = 1;
}

// An image mixed with nothing but itself is unmixed, whatever the weights.
void ApplyArguments::DropWhatDoesNotShow(SampleMix &mix, int i) const {
  mix.masked = !masks_.empty() && masks_[i].height * int64_t{masks_[i].width} > 0;
  const bool pair = plan_.Images() == 2;
  bool alone = mix.index[1] == i && pair;
  if (pair && mix.weights[0] == 1 && mix.boxes == 0 && !mix.masked) {
    alone = true;
  }
  if (alone) {
    mix.images = 2, mix.boxes = 0, mix.masked = mix.fitted = false;
    mix.weights[0] = 1, mix.weights[1] = 0;
    mix.index[1] = i;
  }
  const bool others = std::any_of(mix.weights + 2, mix.weights + kMaxImages,
                                  [](double weight) { return weight != 0; });
  mix.outside = mix.weights[1] == 0 && !others   ? Shows::kOwn
                : mix.weights[0] == 0 && !others ? Shows::kPartner
                                                 : Shows::kBlend;
  if (mix.outside == Shows::kPartner) {
    mix.masked = false;
  }
  mix.images = 2;
  for (int k = 1; k < kMaxImages; k++) {
    const bool in_box = ShowsInBox(mix, k);
    if (in_box || mix.weights[k] != 0) {
      mix.images = std::max(mix.images, k + 1);
    }
    if (!in_box && mix.weights[k] == 0 && !(k == 1 && mix.masked)) {
      mix.offset[k][0] = mix.offset[k][1] = 0;
      if (k == 1) {
        mix.fitted = false;
      }
    }
  }
}

void ApplyArguments::CheckMask(SampleMix &mix, int i) const {
  if (!mix.masked) {
    return;
  }
  if (mix.images > 2) {
    Refuse("mask needs samples of two images, got ", mix.images, " for sample ", i, ".");
  }
}

void ApplyArguments::CheckImages(const SampleMix &mix, int i) const {
  for (int k = 1; k < mix.images; k++) {
    const bool behind = mix.weights[k] != 0 || (k == 1 && mix.masked);
    const bool in_box = ShowsInBox(mix, k), fitted = k == 1 && mix.fitted;
    if (behind && (fitted || mix.offset[k][0] != 0 || mix.offset[k][1] != 0)) {
      Refuse("offset and fit need partners that show in a box alone, got a weight of ",
             mix.weights[k], mix.masked ? " and a mask" : "", " for sample ", i, ".");
    }
    if (fitted) {
      CheckFitted(mix, i);
    } else if (behind || in_box) {
      CheckShapes(mix, i, k);
    }
    if (in_box && !fitted) {
      CheckInBox(mix, i, k);
    }
  }
}

// Images of other sizes may show in boxes alone, if the plan says which part of them.
void ApplyArguments::CheckShapes(const SampleMix &mix, int i, int image) const {
  const ImageShape &own = inputs_[0].shapes[i], &shape = ShapeOf(mix.index[image]);
  const Extent size = inputs_[0].windows[i].size, extent = WindowOf(mix.index[image]).size;
  const bool behind = mix.weights[image] != 0 || (image == 1 && mix.masked);
  const bool any_size = plan_.offset.Given() && !behind;
  const bool fits = any_size || size == extent;
  if (own.frames == shape.frames && fits) {
    return;
  }
  // A crop leaves the number of frames as it is.
  const char *axis = out_layout_.find('D') >= 0 ? "D" : "F";
  const std::string frames =
      own.frames == shape.frames
          ? ""
          : dali::make_string(
                " Give all samples equally many frames: cut the longer ones, or pad "
                "the others with fn.pad(images, axis_names=\"",
                axis, "\").");
  Refuse("mixed samples must have equal shapes, got ", ShapeText(own, size), " for sample ", i,
         " and ", ShapeText(shape, extent), " for its partner, ", NameOf(mix.index[image]), ".",
         frames, fits ? "" : " Resize the images, or pass crop=(H, W).");
}

// What shows in the boxes must be there.
void ApplyArguments::CheckInBox(const SampleMix &mix, int i, int image) const {
  const Extent extent = WindowOf(mix.index[image]).size;
  const int64_t y = mix.offset[image][0], x = mix.offset[image][1];
  for (int b = 0; b < mix.boxes; b++) {
    const Box &box = mix.box[b];
    if (mix.shows[b] == image && (box.y0 + y < 0 || box.y1 + y > extent.height || box.x0 + x < 0 ||
                                  box.x1 + x > extent.width)) {
      Refuse("offset must leave what shows in the box inside the partner of ", extent.height, " x ",
             extent.width, ", got (", y, ", ", x, ") for sample ", i, ".");
    }
  }
}

void ApplyArguments::CheckFitted(const SampleMix &mix, int i) const {
  if (extra_.fitted < 0) {
    Refuse("fit needs the input \"fitted\", got none.");
  }
  if (mix.boxes > 1 && mix.shows[1] == 1) {
    Refuse("fit needs one box of the first partner, got ", mix.boxes, " for sample ", i, ".");
  }
  const Box &box = mix.box[0];
  const ImageShape &fitted = fitted_.shapes[i], &own = inputs_[0].shapes[i];
  const Extent size = {box.y1 - box.y0, box.x1 - box.x0};
  if (!(fitted.extent == size) || fitted.frames != own.frames) {
    ImageShape wanted = own;
    wanted.frame = fitted.frame;
    Refuse("fitted must have the size of the box, ", ShapeText(wanted, size), ", got ",
           ShapeText(fitted, fitted.extent), " for sample ", i, ".");
  }
}

std::string ApplyArguments::NameOf(int index) const {
  const int batch = static_cast<int>(inputs_[0].shapes.size());
  return dali::make_string("sample ", index % batch, index < batch ? "" : " of others");
}

const ImageShape &ApplyArguments::ShapeOf(int index) const {
  const int batch = static_cast<int>(inputs_[0].shapes.size());
  return inputs_[index / batch].shapes[index % batch];
}

const CropWindow &ApplyArguments::WindowOf(int index) const {
  const int batch = static_cast<int>(inputs_[0].windows.size());
  return inputs_[index / batch].windows[index % batch];
}

}  // namespace dali_mix
