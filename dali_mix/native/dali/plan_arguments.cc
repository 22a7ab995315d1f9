// Reads the arguments of plan, and refuses wrong ones.
#include "plan_arguments.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "draw/mosaic.h"

namespace dali_mix {

using dali::OpSpec;

namespace {

// The value of `name` in `choices`.
template <typename T>
T Parse(const char *argument, const std::string &name,
        std::initializer_list<std::pair<const char *, T>> choices) {
  std::string known;
  for (const auto &[word, value] : choices) {
    if (name == word) {
      return value;
    }
    known += known.empty() ? "" : ", ";
    known += std::string("\"") + word + "\"";
  }
  Refuse(argument, " must be one of ", known, ", got \"", name, "\".");
}

Per ParsePer(const OpSpec &spec, const char *argument, bool pair_allowed) {
  const auto name = spec.GetArgument<std::string>(argument);
  if (pair_allowed) {
    return Parse<Per>(argument, name,
                      {{"sample", Per::kSample}, {"pair", Per::kPair}, {"batch", Per::kBatch}});
  }
  return Parse<Per>(argument, name, {{"sample", Per::kSample}, {"batch", Per::kBatch}});
}

template <typename Test>
bool Any(const std::vector<Method> &methods, Test &&test) {
  return std::any_of(methods.begin(), methods.end(), test);
}

}  // namespace

PlanArguments::PlanArguments(const OpSpec &spec)
    : methods(ParseMethods(spec.GetRepeatedArgument<std::string>("methods"))),
      further(FurtherColumnsOf(methods)),
      alpha_("alpha", spec),
      weights_("weights", spec),
      prob_("prob", spec),
      given_lam_("lam", spec),
      given_partner_(ColumnOf<int>("partner", spec)),
      given_box_(ColumnOf<int>("box", spec)),
      classes_(ColumnOf<int>("classes", spec)),
      crop_size_(spec),
      fold_(spec.GetRepeatedArgument<int>("fold")) {
  if (fold_.size() != methods.size()) {
    Refuse("fold must have one value for each of the ", methods.size(), " methods, got ",
           fold_.size(), ".");
  }
  per = ParsePer(spec, "per", true);
  prob_per = ParsePer(spec, "prob_per", false);
  choose_per = ParsePer(spec, "choose_per", false);
  pairing_ = Parse<Pairing>("pairing", spec.GetArgument<std::string>("pairing"),
                            {{"derange", Pairing::kDerange},
                             {"shuffle", Pairing::kShuffle},
                             {"reverse", Pairing::kReverse},
                             {"roll", Pairing::kRoll},
                             {"aspect", Pairing::kAspect},
                             {"same_class", Pairing::kSameClass},
                             {"other_class", Pairing::kOtherClass},
                             {"others", Pairing::kOthers}});
  others_ = pairing_ == Pairing::kOthers;
  if (given_partner_.given) {
    pairing_ = Pairing::kGiven;
  }
  for (const Method &method : methods) {
    images = std::max(images, method.images);
    boxes = std::max(boxes, method.boxes);
  }
  CheckOptions(spec);
}

void PlanArguments::CheckOptions(const OpSpec &spec) const {
  const bool pairs = pairing_ == Pairing::kDerange || pairing_ == Pairing::kReverse ||
                     pairing_ == Pairing::kAspect || pairing_ == Pairing::kGiven;
  if (per == Per::kPair && !pairs) {
    Refuse("per=\"pair\" needs partners that pair up, got \"",
           spec.GetArgument<std::string>("pairing"),
           "\". Use \"derange\" (a random matching) or \"reverse\".");
  }
  if (per == Per::kPair && images > 2) {
    Refuse("per=\"pair\" needs methods of two images, got one of ", images, ".");
  }
  if (pairing_ == Pairing::kAspect && images > 2) {
    Refuse("pairs by aspect need methods of two images, got one of ", images, ".");
  }
  if (images > 2 && boxes > 1) {
    Refuse("methods of several boxes cannot be combined with methods of more than two images.");
  }
  if (IsByClass(pairing_) && !classes_.given) {
    Refuse("partners by class need the classes: pass labels, or classes to the operator.");
  }
  if (given_box_.given && given_lam_.HasExplicitValue()) {
    Refuse("box cannot be combined with lam: the box decides it.");
  }
  if (given_box_.given &&
      !Any(methods, [](const Method &method) { return method.kind == Kind::kCutMix; })) {
    Refuse("box needs a method that cuts, got no cutmix. Add cutmix, or give lam.");
  }
  if (given_partner_.given && others_ && further.fit) {
    Refuse("partner cannot be given where others are resized into the box.");
  }
  CheckGivenLam();
  CheckCanvas();
  CheckOverlap();
}

// Refuses methods and arguments that cannot be combined with overlap.
void PlanArguments::CheckOverlap() const {
  const auto overlaps = [](const Method &method) { return method.overlap; };
  if (!Any(methods, overlaps)) {
    return;
  }
  if (!std::all_of(methods.begin(), methods.end(), overlaps)) {
    Refuse("overlap must be given to all methods of a plan, or to none.");
  }
  if (others_) {
    Refuse("overlap needs partners from the batch, got \"others\", whose sizes plan does not see.");
  }
  if (given_box_.given) {
    Refuse("box cannot be combined with overlap, which decides where the partner may show.");
  }
}

// Refuses methods that cannot be combined with a canvas.
void PlanArguments::CheckCanvas() const {
  if (!further.fill) {
    return;
  }
  if (methods.size() > 1) {
    Refuse(
        "mosaic cannot be combined with other methods in one plan: mix its outputs by another "
        "plan.");
  }
  if (others_) {
    Refuse("mosaic needs partners from the batch, got \"others\", whose sizes plan does not see.");
  }
}

Volume PlanArguments::OutputOf(const Volume &image) const {
  if (!further.fill) {
    return image;
  }
  const Extent output = dali_mix::OutputOf(methods[0]);
  return {image.frames, output.height, output.width};
}

// Refuses a given lam for methods that cannot leave a given share.
void PlanArguments::CheckGivenLam() const {
  if (!given_lam_.HasExplicitValue()) {
    return;
  }
  if (Any(methods, [](const Method &method) { return method.kind == Kind::kSmoothMix; })) {
    Refuse("lam cannot be given to smoothmix: its bell decides it.");
  }
  if (Any(methods, [](const Method &method) { return method.minmax.high > 0; })) {
    Refuse("lam cannot be given to cutmix with minmax: the sides of its box decide it.");
  }
  if (images > 2) {
    Refuse("lam needs methods of two images, got one of ", images, ".");
  }
}

void PlanArguments::Acquire(const OpSpec &spec, const dali::Workspace &ws) {
  AcquireSizes(spec, ws);
  const int per_method = static_cast<int>(methods.size());
  AcquireArgument(alpha_, "alpha", spec, ws, Count(), per_method);
  AcquireArgument(weights_, "weights", spec, ws, Count(), per_method);
  AcquireArgument(prob_, "prob", spec, ws, Count());
  if (given_lam_.HasExplicitValue()) {
    AcquireArgument(given_lam_, "lam", spec, ws, Count());
  }
  AcquireColumn(given_partner_, "partner", ws, Count());
  AcquireColumn(given_box_, "box", ws, Count());
  AcquireColumn(classes_, "classes", ws, Count());
  CheckLengths();
  for (int i = 0; i < Count(); i++) {
    CheckSample(i);
  }
  CheckMethods();
}

void PlanArguments::AcquireSizes(const OpSpec &spec, const dali::Workspace &ws) {
  const bool has_input = ws.NumInput() > 0;
  const int count = has_input ? ws.GetInputBatchSize(0) : ws.GetRequestedBatchSize(0);
  sizes.assign(count, Volume{});
  crop_size_.Acquire(spec, ws, count);
  if (!crop_size_.Given() && !has_input) {
    Refuse("plan needs images or a size: pass one of the two.");
  }
  const dali::TensorLayout layout = has_input ? ws.GetInputLayout(0) : dali::TensorLayout();
  const dali::TensorListShape<> shapes =
      has_input ? ws.GetInputShape(0) : dali::TensorListShape<>();
  const int axis = std::max(layout.find('F'), layout.find('D'));
  sequences = axis >= 0;
  for (int i = 0; i < count; i++) {
    const Extent image = crop_size_.Given() ? Extent{} : ExtentOf(shapes[i], layout);
    const auto [height, width] = crop_size_(i, image);
    const int frames = sequences ? static_cast<int>(shapes[i][axis]) : 1;
    sizes[i] = {frames, height, width};
  }
}

void PlanArguments::CheckLengths() const {
  if (Count() == 0) {
    return;
  }
  const auto check = [](const char *name, const Column<int> &column, int length) {
    if (column.given && column.length != length) {
      Refuse(name, " must hold ", length, length == 1 ? " value" : " values",
             " for each sample, got ", column.length, ".");
    }
  };
  check("partner", given_partner_, images - 1);
  check("box", given_box_, 4);
  if (classes_.given && classes_.length != 1) {
    Refuse("labels must be class ids, one for each sample, for partners by class, got ",
           classes_.length, " values.");
  }
}

void PlanArguments::CheckSample(int i) const {
  for (size_t m = 0; m < methods.size(); m++) {
    const float alpha = alpha_[i].data[m], weight = weights_[i].data[m];
    if (!(alpha >= 0 && std::isfinite(alpha))) {
      Refuse("alpha must be finite and not negative (0 switches mixing off), got ", alpha,
             " for sample ", i, ".");
    }
    if (!(weight >= 0 && std::isfinite(weight))) {
      Refuse("weights must be finite and not negative, got ", weight, " for sample ", i, ".");
    }
  }
  const float *weights = weights_[i].data;
  if (std::all_of(weights, weights + methods.size(), [](float w) { return w == 0; })) {
    Refuse("weights must not all be 0, got only zeros for sample ", i, ".");
  }
  const float prob = prob_[i].data[0];
  if (!(prob >= 0 && prob <= 1)) {
    Refuse("prob must be in [0, 1], got ", prob, " for sample ", i, ".");
  }
  if (given_lam_.HasExplicitValue()) {
    const float lam = given_lam_[i].data[0];
    if (!(lam >= 0 && lam <= 1)) {
      Refuse("lam must be in [0, 1], got ", lam, " for sample ", i, ".");
    }
  }
  if (given_box_.given) {
    const int *box = given_box_[i];
    if (box[0] > box[2] || box[1] > box[3]) {
      Refuse("box must be (y0, x0, y1, x1) with y0 <= y1 and x0 <= x1, got (", box[0], ", ", box[1],
             ", ", box[2], ", ", box[3], ") for sample ", i, ".");
    }
  }
}

// Refuses methods that do not fit the images: in time for images, or with patches of another size.
void PlanArguments::CheckMethods() const {
  if (further.frames && !sequences && Count() > 0) {
    Refuse(
        "extent needs videos or volumes, of a layout with F or D, to cut in time, got none: "
        "pass images, or take extent=\"space\".");
  }
  for (const Method &method : methods) {
    if (method.kind != Kind::kPatchMix) {
      continue;
    }
    for (int i = 0; i < Count(); i++) {
      if (sizes[i].height % method.patch_height || sizes[i].width % method.patch_width) {
        Refuse("patch must divide the output of ", sizes[i].height, " x ", sizes[i].width, ", got ",
               method.patch_height, " x ", method.patch_width, " for sample ", i, ".");
      }
    }
  }
}

Wanted PlanArguments::WantedOf(int method, int unit, int i) const {
  Wanted wanted = {alpha_[unit].data[method], fold_[method] != 0, {}};
  if (given_lam_.HasExplicitValue()) {
    wanted.lam = given_lam_[i].data[0];
  }
  return wanted;
}

std::optional<Box> PlanArguments::GivenBox(int method, int i) const {
  if (!given_box_.given || methods[method].kind != Kind::kCutMix) {
    return {};
  }
  const int *box = given_box_[i];
  return Box{box[0], box[1], box[2], box[3]};
}

}  // namespace dali_mix
