// Reads the plan for the images of a call. Refuses images that cannot be mixed.
#include "core/mixes.h"

#include <algorithm>

#include "core/refuse.h"

namespace dali_mix {

namespace {

std::string ShapeText(const ImageShape &shape, Extent extent) {
  const bool sequence = shape.frame != 0;
  return Text(sequence ? Text(shape.frames, "x") : "", extent.height, "x", extent.width, "x",
              shape.channels, " (", sequence ? "FRAMESx" : "", "HxWxC)");
}

std::string NameOf(int index, int batch) {
  return Text("sample ", index % batch, index < batch ? "" : " of others");
}

// Whether an image shows in box number `b`.
bool IsIn(const SampleMix &mix, int b, int image) {
  return mix.shows[b] == image || (mix.shows[b] == kBlended && mix.weights[image] != 0);
}

bool ShowsInBox(const SampleMix &mix, int image) {
  for (int b = 0; b < mix.boxes; b++) {
    if (IsIn(mix, b, image)) {
      return true;
    }
  }
  return false;
}

// Whether an image shows where there is no box.
bool ShowsBehind(const SampleMix &mix, int image) {
  return (mix.weights[image] != 0 && !mix.blends_inside) || (image == 1 && mix.masked);
}

// Ends the blend inside the boxes. The own image lies around them.
void EndBlendInside(SampleMix &mix) {
  if (mix.blends_inside) {
    mix.blends_inside = false;
    mix.weights[0] = 1;
    mix.weights[1] = 0;
  }
}

void LeaveOutBoxes(SampleMix &mix) {
  mix.boxes = 0;
  EndBlendInside(mix);
}

// Refuses images that a plan with a canvas was not drawn for.
void CheckView(const PlanColumns &plan, const Images &images, int i) {
  if (!plan.view.given) {
    return;
  }
  const Extent planned = {plan.view[i][0], plan.view[i][1]}, actual = images.WindowOf(i).size;
  if (!(planned == actual)) {
    Refuse("the plan was drawn for ", planned.height, " x ", planned.width, " pixels of sample ", i,
           ", got ", actual.height, " x ", actual.width, ". Give plan the same images and crop.");
  }
}

void CheckPlannedSize(const PlanColumns &plan, const Images &images, int i) {
  if (!plan.size.given) {
    return;
  }
  const Extent planned = plan.Size(i), actual = images.OutputOf(i);
  if (!(planned == actual)) {
    Refuse("the plan was drawn for ", planned.height, " x ", planned.width,
           " pixels, but the output of sample ", i, " is ", actual.height, " x ", actual.width,
           ". Give plan the same crop or size.");
  }
  const int frames = images.ShapeOf(i).frames;
  if (plan.size.length == 3 && plan.size[i][0] != frames) {
    Refuse("the plan was drawn for ", plan.size[i][0], " frames, but sample ", i, " has ", frames,
           ". Give plan the same images.");
  }
}

// Maps are never blended: one of the images gets the whole weight.
void CopyOneOfABlend(SampleMix &mix, int copied) {
  int blended = 0;
  for (const double weight : mix.weights) {
    blended += weight != 0;
  }
  if (blended < 2) {
    return;
  }
  const int shown = mix.weights[copied] != 0 ? copied : 0;
  if (mix.blends_inside) {
    mix.boxes = shown == 1 ? mix.boxes : 0;
    std::fill_n(mix.shows, mix.boxes, 1);
    return EndBlendInside(mix);
  }
  std::fill(mix.weights, mix.weights + kMaxImages, 0.0);
  mix.weights[shown] = 1;
}

// A sample that is mixed with itself only is unmixed, whatever its weights are.
void UnmixAlone(SampleMix &mix, int i) {
  const bool whole = mix.weights[0] == 1 && mix.boxes == 0 && !mix.masked;
  if (mix.images == 2 && !mix.canvas && (mix.index[1] == i || whole)) {
    LeaveOutBoxes(mix);
    mix.masked = false;
    mix.fitted = false;
    mix.weights[0] = 1;
    mix.weights[1] = 0;
    mix.index[1] = i;
  }
}

Shows ShownOutside(const SampleMix &mix) {
  const bool further = std::any_of(mix.weights + 2, mix.weights + kMaxImages,
                                   [](double weight) { return weight != 0; });
  if (mix.blends_inside || (mix.weights[1] == 0 && !further)) {
    return Shows::kOwn;
  }
  return mix.weights[0] == 0 && !further ? Shows::kPartner : Shows::kBlend;
}

void DropWhatDoesNotShow(SampleMix &mix, int i) {
  UnmixAlone(mix, i);
  mix.outside = ShownOutside(mix);
  if (mix.outside == Shows::kPartner) {
    mix.masked = false;
  }
  mix.images = 2;
  for (int k = 1; k < kMaxImages; k++) {
    const bool in_box = ShowsInBox(mix, k);
    if (in_box || mix.weights[k] != 0) {
      mix.images = std::max(mix.images, k + 1);
    }
    if (!in_box && !ShowsBehind(mix, k)) {
      mix.offset[k][0] = 0;
      mix.offset[k][1] = 0;
      mix.fitted = mix.fitted && k != 1;
    }
  }
}

void CheckFitted(const SampleMix &mix, const Images &images, int i) {
  if (!images.has_fitted) {
    Refuse("fit needs the input \"fitted\", got none.");
  }
  if (mix.boxes > 1 && mix.shows[1] == 1) {
    Refuse("fit needs one box of the first partner, got ", mix.boxes, " for sample ", i, ".");
  }
  const Box &box = mix.box[0];
  const ImageShape &fitted = images.fitted.shapes[i], &own = images.ShapeOf(i);
  const Extent size = {box.y1 - box.y0, box.x1 - box.x0};
  if (!(fitted.extent == size) || fitted.frames != own.frames) {
    ImageShape wanted = own;
    wanted.frame = fitted.frame;
    Refuse("fitted must have the size of the box, ", ShapeText(wanted, size), ", got ",
           ShapeText(fitted, fitted.extent), " for sample ", i, ".");
  }
}

// Refuses a partner of another size, unless it shows in boxes only and the plan has offsets.
void CheckShapes(const SampleMix &mix, const Images &images, int i, int image, bool any_size,
                 char frames_axis) {
  const int index = mix.index[image];
  const ImageShape &own = images.ShapeOf(i), &shape = images.ShapeOf(index);
  const Extent size = images.OutputOf(i), extent = images.WindowOf(index).size;
  const bool fits = any_size || size == extent, as_long = own.frames == shape.frames;
  if (fits && as_long) {
    return;
  }
  // A crop does not change the number of frames.
  const std::string longer = Text(
      " Give all samples equally many frames: cut the longer ones, or pad the others with "
      "fn.pad(images, axis_names=\"",
      frames_axis, "\").");
  Refuse("mixed samples must have equal shapes, got ", ShapeText(own, size), " for sample ", i,
         " and ", ShapeText(shape, extent), " for its partner, ", NameOf(index, images.Count()),
         ".", as_long ? "" : longer, fits ? "" : " Resize the images, or pass crop=(H, W).");
}

// Refuses offsets by which a box would show pixels outside its image.
void CheckInBoxes(const SampleMix &mix, const Images &images, int i, int image) {
  const Extent extent = images.WindowOf(mix.index[image]).size;
  const int64_t y = mix.offset[image][0], x = mix.offset[image][1];
  for (int b = 0; b < mix.boxes; b++) {
    const Box &box = mix.box[b];
    const bool inside = box.y0 + y >= 0 && box.y1 + y <= extent.height && box.x0 + x >= 0 &&
                        box.x1 + x <= extent.width;
    if (IsIn(mix, b, image) && !inside) {
      Refuse("offset must leave what shows in the box inside the ",
             mix.canvas ? "image" : "partner", " of ", extent.height, " x ", extent.width,
             ", got (", y, ", ", x, ") for sample ", i, ".");
    }
  }
}

void CheckImage(const SampleMix &mix, const Images &images, int i, int image, bool has_offsets,
                char frames_axis) {
  const bool behind = ShowsBehind(mix, image), in_box = ShowsInBox(mix, image);
  const bool fitted = image == 1 && mix.fitted;
  if (behind && (fitted || mix.offset[image][0] != 0 || mix.offset[image][1] != 0)) {
    Refuse("offset and fit need partners that show in a box alone, got a weight of ",
           mix.weights[image], mix.masked ? " and a mask" : "", " for sample ", i, ".");
  }
  if (fitted) {
    CheckFitted(mix, images, i);
    return;
  }
  if (behind || in_box) {
    CheckShapes(mix, images, i, image, has_offsets && !behind, frames_axis);
  }
  if (in_box) {
    CheckInBoxes(mix, images, i, image);
  }
}

}  // namespace

std::vector<SampleMix> MixSamples(const PlanColumns &plan, const Images &images, int copied,
                                  char frames_axis) {
  const int count = images.Count(), inputs = static_cast<int>(images.inputs.size());
  if (count > 0 && copied >= plan.images) {
    Refuse("copied must be the number of an image, 0 to ", plan.images - 1, ", got ", copied, ".");
  }
  std::vector<SampleMix> mixes;
  mixes.reserve(count);
  for (int i = 0; i < count; i++) {
    CheckPlannedSize(plan, images, i);
    CheckView(plan, images, i);
    SampleMix mix = {};
    static_cast<MixedSample &>(mix) =
        plan.SampleOf(i, count, inputs, images.OutputOf(i), images.ShapeOf(i).frames);
    if (mix.boxed_frames.begin == mix.boxed_frames.end) {
      LeaveOutBoxes(mix);
    }
    mix.masked = !images.masks.empty() && images.masks[i].height > 0 && images.masks[i].width > 0;
    if (copied >= 0) {
      CopyOneOfABlend(mix, copied);
    }
    DropWhatDoesNotShow(mix, i);
    if (mix.masked && mix.canvas) {
      Refuse("mask cannot be combined with fill, got both for sample ", i, ".");
    }
    if (mix.masked && mix.blends_inside) {
      Refuse("mask cannot be combined with box_blend, got both for sample ", i, ".");
    }
    if (mix.masked && mix.images > 2) {
      Refuse("mask needs samples of two images, got ", mix.images, " for sample ", i, ".");
    }
    if (mix.masked) {
      mix.weights[1] = 1 - mix.weights[0];  // so that a level of 255 is the blend to the bit
    }
    for (int k = 1; k < mix.images; k++) {
      CheckImage(mix, images, i, k, plan.offset.given, frames_axis);
    }
    mixes.push_back(mix);
  }
  return mixes;
}

}  // namespace dali_mix
