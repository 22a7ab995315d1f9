// The plan as fn.dali_mix.apply reads it: what may be mixed, and what is refused.
#include <algorithm>
#include <cmath>

#include "apply_op.h"

namespace dali_mix {

using dali::ArgumentWorkspace;

namespace {

std::string ShapeText(const ImageShape &shape, Extent extent) {
  const std::string frames = shape.frame ? dali::make_string(shape.frames, "x") : std::string();
  return dali::make_string(frames, extent.height, "x", extent.width, "x", shape.channels, " (",
                           frames.empty() ? "" : "FRAMESx", "HxWxC)");
}

}  // namespace

void ApplyArguments::AcquirePlan(const ArgumentWorkspace &ws) {
  const int count = static_cast<int>(inputs_[0].shapes.size());
  for (auto *column : {&partner_, &box_, &size_, &fit_, &offset_, &frames_})
    column->Acquire(ws, count);
  blend_.Acquire(ws, count);
  images_ = partner_.Given() && count > 0 ? partner_.Length() + 1 : 2;
  const int boxes = box_.Length() / 4;
  const auto check = [count](const char *name, bool right, const std::string &rule, int got) {
    if (count > 0 && !right) Refuse(name, " must hold ", rule, " for each sample, got ", got, ".");
  };
  check("partner", 2 <= images_ && images_ <= kMaxImages,
        dali::make_string("1 to ", kMaxImages - 1, " values"), images_ - 1);
  const int weights = images_ == 2 ? 1 : images_;
  check("blend", blend_.Length() == weights || blend_.Length() == 1,
        dali::make_string(weights, " values"), blend_.Length());
  check("box", box_.Length() % 4 == 0 && 1 <= boxes && boxes <= kMaxBoxes,
        dali::make_string("4 values for each of 1 to ", kMaxBoxes, " boxes"), box_.Length());
  check("box", images_ == 2 || boxes == images_ - 1 || !box_.Given(),
        dali::make_string("4 values for each of the ", images_ - 1, " partners"), box_.Length());
  check("fit", !fit_.Given() || fit_.Length() == 1 || fit_.Length() == 2, "1 or 2 values",
        fit_.Length());
  check("offset", !offset_.Given() || offset_.Length() == 2 * (images_ - 1),
        dali::make_string(2 * (images_ - 1), " values"), offset_.Length());
  check("frames", !frames_.Given() || frames_.Length() == 2, "2 values", frames_.Length());
  mixes_.clear();
  mixes_.reserve(count);
  for (int i = 0; i < count; i++) {
    CheckPlannedSize(i);
    mixes_.push_back(MakeMix(i));
  }
}

void ApplyArguments::CheckPlannedSize(int i) const {
  if (!size_.Given()) return;
  const ImageShape &shape = inputs_[0].shapes[i];
  const int length = size_.Length();
  if (length != 2 && length != 3)
    Refuse("size must hold 2 values for each sample, or 3 for sequences, got ", length, ".");
  const int *planned = size_[i] + length - 2;
  const Extent actual = inputs_[0].windows[i].size;
  if (planned[0] != actual.height || planned[1] != actual.width)
    Refuse("the plan was drawn for ", planned[0], " x ", planned[1],
           " pixels, but the output of sample ", i, " is ", actual.height, " x ", actual.width,
           ". Give plan the same crop or size.");
  if (length == 3 && size_[i][0] != shape.frames)
    Refuse("the plan was drawn for ", size_[i][0], " frames, but sample ", i, " has ", shape.frames,
           ". Give plan the same images.");
}

Mix ApplyArguments::MakeMix(int i) const {
  Mix mix = {};
  mix.images = images_;
  mix.end_frame = inputs_[0].shapes[i].frames;
  ReadPartners(mix, i);
  ReadWeights(mix, i);
  ReadBoxes(mix, i);
  DropWhatDoesNotShow(mix, i);
  CheckMask(mix, i);
  CheckImages(mix, i);
  return mix;
}

void ApplyArguments::ReadPartners(Mix &mix, int i) const {
  const int batch = static_cast<int>(inputs_[0].shapes.size());
  const int count = batch * static_cast<int>(inputs_.size());
  std::fill(mix.index, mix.index + kMaxImages, i);
  for (int k = 1; k < images_ && partner_.Given(); k++) {
    mix.index[k] = partner_[i][k - 1];
    if (mix.index[k] < 0 || mix.index[k] >= count)
      Refuse("partner must be an index into the batch of ", batch,
             count > batch ? " and the others behind it" : "", ", got ", mix.index[k],
             " for sample ", i, ".");
    if (offset_.Given()) std::copy_n(offset_[i] + 2 * (k - 1), 2, mix.offset[k]);
  }
  mix.fitted = fit_.Given() && fit_[i][0] != 0;
}

void ApplyArguments::ReadWeights(Mix &mix, int i) const {
  const float *blend = blend_[i];
  double sum = 0;
  for (int k = 0; k < blend_.Length(); k++) {
    if (!(blend[k] >= 0 && blend[k] <= 1))
      Refuse("blend must be in [0, 1], got ", blend[k], " for sample ", i, ".");
    sum += mix.weights[k] = blend[k];
  }
  if (blend_.Length() == 1) mix.weights[1] = 1 - blend[0];
  if (blend_.Length() > 1 && std::abs(sum - 1) > 1e-3)
    Refuse("blend must sum to 1, got ", sum, " for sample ", i, ".");
}

void ApplyArguments::ReadBoxes(Mix &mix, int i) const {
  const Extent size = inputs_[0].windows[i].size;
  for (int b = 0; b < box_.Length() / 4; b++) {
    const int *at = box_[i] + 4 * b;
    const Box box = {at[0], at[1], at[2], at[3]};
    if (!(0 <= box.y0 && box.y0 <= box.y1 && box.y1 <= size.height && 0 <= box.x0 &&
          box.x0 <= box.x1 && box.x1 <= size.width))
      Refuse("box must be (y0, x0, y1, x1) inside the output of ", size.height, " x ", size.width,
             ", got (", box.y0, ", ", box.x0, ", ", box.y1, ", ", box.x1, ") for sample ", i, ".");
    if (box.Empty()) continue;
    mix.shows[mix.boxes] = images_ == 2 ? 1 : b + 1;
    mix.box[mix.boxes++] = box;
  }
  if (!frames_.Given()) return;
  const int frames = mix.end_frame;
  mix.first_frame = frames_[i][0], mix.end_frame = frames_[i][1];
  if (!(0 <= mix.first_frame && mix.first_frame <= mix.end_frame && mix.end_frame <= frames))
    Refuse("frames must be (begin, end) inside the ", frames, " frames of the sample, got (",
           mix.first_frame, ", ", mix.end_frame, ") for sample ", i, ".");
  if (mix.first_frame == mix.end_frame) mix.boxes = 0;
}

// An image mixed with nothing but itself is unmixed, whatever the weights.
void ApplyArguments::DropWhatDoesNotShow(Mix &mix, int i) const {
  mix.masked = !masks_.empty() && masks_[i].height * masks_[i].width > 0;
  bool alone = mix.index[1] == i && images_ == 2;
  if (images_ == 2 && mix.weights[0] == 1 && mix.boxes == 0 && !mix.masked) alone = true;
  if (alone) {
    mix.images = 2, mix.boxes = 0, mix.masked = mix.fitted = false;
    mix.weights[0] = 1, mix.weights[1] = 0;
    mix.index[1] = i;
  }
  int used = 2;
  for (int k = 2; k < mix.images; k++)
    if (mix.weights[k] != 0) used = k + 1;
  for (int b = 0; b < mix.boxes; b++) used = std::max(used, mix.shows[b] + 1);
  mix.images = used;
  const bool others = std::any_of(mix.weights + 2, mix.weights + kMaxImages,
                                  [](float weight) { return weight != 0; });
  mix.outside = mix.weights[0] == 1                                     ? Shows::kOwn
                : mix.weights[0] == 0 && mix.weights[1] == 1 && !others ? Shows::kPartner
                                                                        : Shows::kBlend;
  if (mix.outside == Shows::kPartner) mix.masked = false;
}

void ApplyArguments::CheckMask(Mix &mix, int i) const {
  if (!mix.masked) return;
  if (mix.images > 2)
    Refuse("mask needs samples of two images, got ", mix.images, " for sample ", i, ".");
}

void ApplyArguments::CheckImages(const Mix &mix, int i) const {
  const ImageShape &own = inputs_[0].shapes[i];
  for (int k = 1; k < mix.images; k++) {
    const bool behind = mix.weights[k] != 0 || (k == 1 && mix.masked);
    const ImageShape &shape = ShapeOf(mix.index[k]);
    const Extent extent = WindowOf(mix.index[k]).size;
    bool in_box = false;
    for (int b = 0; b < mix.boxes; b++) in_box = in_box || mix.shows[b] == k;
    if (!behind && !in_box) continue;
    const bool moved = mix.offset[k][0] != 0 || mix.offset[k][1] != 0 || mix.fitted;
    if (behind && moved)
      Refuse("offset and fit need partners that show in a box alone, got a weight of ",
             mix.weights[k], " for sample ", i, ".");
    if (own.frames != shape.frames || (!moved && !(inputs_[0].windows[i].size == extent)))
      Refuse("mixed samples must have equal shapes, got ",
             ShapeText(own, inputs_[0].windows[i].size), " for sample ", i, " and ",
             ShapeText(shape, extent), " for its partner, sample ", mix.index[k],
             ". Resize the images, or pass crop=(H, W).");
    for (int b = 0; b < mix.boxes && moved; b++)
      if (mix.shows[b] == k) CheckInBox(mix, i, k, mix.box[b]);
  }
}

// What shows in the box must be there.
void ApplyArguments::CheckInBox(const Mix &mix, int i, int image, const Box &box) const {
  if (mix.fitted) {
    if (extra_.fitted < 0) Refuse("fit needs the input \"fitted\", got none.");
    const Extent fitted = fitted_.shapes[i].extent;
    if (mix.boxes != 1 || fitted.height != box.y1 - box.y0 || fitted.width != box.x1 - box.x0)
      Refuse("fitted must have the size of the box, ", box.y1 - box.y0, " x ", box.x1 - box.x0,
             ", got ", fitted.height, " x ", fitted.width, " for sample ", i, ".");
    return;
  }
  const Extent extent = WindowOf(mix.index[image]).size;
  const int64_t y = mix.offset[image][0], x = mix.offset[image][1];
  if (box.y0 + y < 0 || box.y1 + y > extent.height || box.x0 + x < 0 || box.x1 + x > extent.width)
    Refuse("offset must leave what shows in the box inside the partner of ", extent.height, " x ",
           extent.width, ", got (", y, ", ", x, ") for sample ", i, ".");
}

const ImageShape &ApplyArguments::ShapeOf(int index) const {
  const int batch = static_cast<int>(inputs_[0].shapes.size());
  return inputs_[index / batch].shapes[index % batch];
}

const Window &ApplyArguments::WindowOf(int index) const {
  const int batch = static_cast<int>(inputs_[0].windows.size());
  return inputs_[index / batch].windows[index % batch];
}

}  // namespace dali_mix
