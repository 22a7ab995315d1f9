// Arguments of fn.dali_mix.plan: reading and checking.
#include "plan_op.h"

namespace dali_mix {

namespace {

// The value that `name` stands for in `choices`; the schema lists them.
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

std::vector<Method> ParseMethods(const OpSpec &spec) {
  std::vector<Method> methods;
  for (const auto &text : spec.GetRepeatedArgument<std::string>("methods")) {
    methods.push_back(ParseMethod(text));
  }
  if (methods.empty()) {
    Refuse("methods must name at least one method, got none.");
  }
  return methods;
}

}  // namespace

int CountPlanOutputs(const OpSpec &spec) {
  const auto methods = ParseMethods(spec);
  return 5 + MovesPartners(methods) + FitsPartners(methods) + DrawsFrames(methods) +
         DrawsMasks(methods);
}

PlanOp::PlanOp(const OpSpec &spec)
    : Base(spec),
      alpha_("alpha", spec),
      weights_("weights", spec),
      prob_("prob", spec),
      given_lam_("lam", spec),
      given_partner_("partner", spec),
      given_box_("box", spec),
      classes_("classes", spec),
      crop_size_(spec),
      methods_(ParseMethods(spec)) {
  const auto fold = spec.GetRepeatedArgument<int>("fold");
  if (fold.size() != methods_.size()) {
    Refuse("fold must have one value for each of the ", methods_.size(), " methods, got ",
           fold.size(), ".");
  }
  fold_.assign(fold.begin(), fold.end());
  per_ = ParsePer(spec, "per", true);
  prob_per_ = ParsePer(spec, "prob_per", false);
  choose_per_ = ParsePer(spec, "choose_per", false);
  pairing_ = Parse<Pairing>("pairing", spec.GetArgument<std::string>("pairing"),
                            {{"derange", Pairing::kDerange},
                             {"shuffle", Pairing::kShuffle},
                             {"reverse", Pairing::kReverse},
                             {"roll", Pairing::kRoll},
                             {"same_class", Pairing::kSameClass},
                             {"other_class", Pairing::kOtherClass},
                             {"others", Pairing::kOthers}});
  others_ = pairing_ == Pairing::kOthers;
  if (given_partner_.Given()) {
    pairing_ = Pairing::kGiven;
  }
  for (const Method &method : methods_) {
    images_ = std::max(images_, method.images);
    boxes_ = std::max(boxes_, method.boxes);
  }
  CheckOptions(spec);
}

void PlanOp::CheckOptions(const OpSpec &spec) const {
  const bool pairs =
      pairing_ == Pairing::kDerange || pairing_ == Pairing::kReverse || pairing_ == Pairing::kGiven;
  if (per_ == Per::kPair && !pairs) {
    Refuse("per=\"pair\" needs partners that pair up, got \"",
           spec.GetArgument<std::string>("pairing"),
           "\". Use \"derange\" (a random matching) or \"reverse\".");
  }
  if (per_ == Per::kPair && images_ > 2) {
    Refuse("per=\"pair\" needs methods of two images, got one of ", images_, ".");
  }
  if (images_ > 2 && boxes_ > 1) {
    Refuse("methods of several boxes cannot be combined with methods of more than two images.");
  }
  const bool by_class = pairing_ == Pairing::kSameClass || pairing_ == Pairing::kOtherClass;
  if (by_class && !classes_.Given()) {
    Refuse("partners by class need the classes: pass labels, or classes to the operator.");
  }
  if (given_box_.Given() && given_lam_.HasExplicitValue()) {
    Refuse("box cannot be combined with lam: the box decides it.");
  }
  if (given_box_.Given() &&
      !Any(methods_, [](const Method &method) { return method.kind == Kind::kCutMix; })) {
    Refuse("box needs a method that cuts, got no cutmix. Add cutmix, or give lam.");
  }
  if (given_partner_.Given() && others_ && FitsPartners(methods_)) {
    Refuse("partner cannot be given where others are resized into the box.");
  }
  CheckGivenLam();
}

// Given, not drawn: of methods that can leave that share.
void PlanOp::CheckGivenLam() const {
  if (!given_lam_.HasExplicitValue()) {
    return;
  }
  if (Any(methods_, [](const Method &method) { return method.kind == Kind::kSmoothMix; })) {
    Refuse("lam cannot be given to smoothmix: its bell decides it.");
  }
  if (Any(methods_, [](const Method &method) { return method.minmax.high > 0; })) {
    Refuse("lam cannot be given to cutmix with minmax: the sides of its box decide it.");
  }
  if (images_ > 2) {
    Refuse("lam needs methods of two images, got one of ", images_, ".");
  }
}

void PlanOp::AcquireArguments(const Workspace &ws) {
  const int count = static_cast<int>(sizes_.size());
  const int per_method = static_cast<int>(methods_.size());
  AcquireArgument(alpha_, "alpha", spec_, ws, count, per_method);
  AcquireArgument(weights_, "weights", spec_, ws, count, per_method);
  AcquireArgument(prob_, "prob", spec_, ws, count);
  if (given_lam_.HasExplicitValue()) {
    AcquireArgument(given_lam_, "lam", spec_, ws, count);
  }
  given_partner_.Acquire(ws, count);
  given_box_.Acquire(ws, count);
  classes_.Acquire(ws, count);
  const auto check = [count](const char *name, const Column<int> &column, int length) {
    if (count > 0 && column.Given() && column.Length() != length) {
      Refuse(name, " must hold ", length, length == 1 ? " value" : " values",
             " for each sample, got ", column.Length(), ".");
    }
  };
  check("partner", given_partner_, images_ - 1);
  check("box", given_box_, 4);
  if (count > 0 && classes_.Given() && classes_.Length() != 1) {
    Refuse("labels must be class ids, one for each sample, for partners by class, got ",
           classes_.Length(), " values.");
  }
}

void PlanOp::CheckValues() const {
  for (size_t i = 0; i < sizes_.size(); i++) {
    for (size_t m = 0; m < methods_.size(); m++) {
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
    if (std::all_of(weights, weights + methods_.size(), [](float w) { return w == 0; })) {
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
    if (given_box_.Given()) {
      const int *b = given_box_[i];
      if (b[0] > b[2] || b[1] > b[3]) {
        Refuse("box must be (y0, x0, y1, x1) with y0 <= y1 and x0 <= x1, got (", b[0], ", ", b[1],
               ", ", b[2], ", ", b[3], ") for sample ", i, ".");
      }
    }
  }
}

void PlanOp::CheckGivenPartners() const {
  const int count = static_cast<int>(sizes_.size());
  for (int i = 0; i < count; i++) {
    for (const int partner : partners_[i]) {
      if (partner < 0 || partner >= (others_ ? 2 * count : count)) {
        Refuse("partner must be an index into the batch of ", count,
               others_ ? " and the others behind it" : "", ", got ", partner, " for sample ", i,
               ".");
      }
    }
  }
  for (int i = 0; i < count && per_ == Per::kPair; i++) {
    const int partner = partners_[i][0];
    const int back = partner < count ? partners_[partner][0] : -1;
    if (back != i) {
      Refuse("per=\"pair\" needs partners that pair up, got partner ", partner, " for sample ", i,
             " and partner ", back, " for sample ", partner, ".");
    }
  }
}

// Methods whose pattern must fit the size.
void PlanOp::CheckMethods() const {
  if (DrawsFrames(methods_) && !sequences_ && !sizes_.empty()) {
    Refuse(
        "extent needs videos or volumes, of a layout with F or D, to cut in time, got none: "
        "pass images, or take extent=\"space\".");
  }
  for (const Method &method : methods_) {
    if (method.kind != Kind::kPatchMix) {
      continue;
    }
    for (size_t i = 0; i < sizes_.size(); i++) {
      if (sizes_[i].height % method.patch_height || sizes_[i].width % method.patch_width) {
        Refuse("patch must divide the output of ", sizes_[i].height, " x ", sizes_[i].width,
               ", got ", method.patch_height, " x ", method.patch_width, " for sample ", i, ".");
      }
    }
  }
}

}  // namespace dali_mix
