// fn.dali_mix.plan: draws the plan of a batch. Looks at the count and the shapes of the images
// only.
#include "arguments.h"
#include "drawn.h"

namespace dali_mix {

using dali::ArgValue;
using dali::CPUBackend;
using dali::OpSpec;
using dali::Workspace;

class PlanOp : public dali::rng::OperatorWithRng<dali::Operator<CPUBackend>> {
 public:
  using Base = dali::rng::OperatorWithRng<dali::Operator<CPUBackend>>;
  explicit PlanOp(const OpSpec &spec);

  bool SetupImpl(std::vector<dali::OutputDesc> &outputs, const Workspace &ws) override;
  void RunImpl(Workspace &ws) override;

 private:
  void CheckOptions(const OpSpec &spec) const;
  void CheckGivenLam() const;
  void AcquireSizes(const Workspace &ws);
  void AcquireArguments(const Workspace &ws);
  void CheckAlphaAndProb() const;
  void PairUp();
  void CheckGivenPartners() const;
  void CheckMethods() const;
  int UnitOf(Per per, int i) const;
  bool IsAlone(int i) const;
  DrawnSample Draw(int i) const;
  DrawnSample DrawMethod(int m, int i) const;
  Rng StreamOf(int unit, uint64_t stream) const;
  template <typename T, typename Values>
  void Write(Workspace &ws, int output, Values &&values) const;

  ArgValue<float, 1> alpha_, weights_;
  ArgValue<float> prob_, given_lam_;
  Column<int> given_partner_, given_box_, classes_;
  CropSize crop_size_;
  std::vector<Method> methods_;
  std::vector<bool> fold_;
  Per per_, prob_per_, choose_per_;
  Pairing pairing_;
  int images_ = 2, boxes_ = 1;
  bool others_ = false, sequences_ = false;

  std::vector<Volume> sizes_;
  std::vector<std::vector<int>> partners_;  // [images - 1][samples]
  std::vector<DrawnSample> drawn_;
};

namespace {

// The value that `name` stands for in `choices`; the schema lists them.
template <typename T>
T Parse(const char *argument, const std::string &name,
        std::initializer_list<std::pair<const char *, T>> choices) {
  std::string known;
  for (const auto &[word, value] : choices) {
    if (name == word) return value;
    known += known.empty() ? "" : ", ";
    known += std::string("\"") + word + "\"";
  }
  Refuse(argument, " must be one of ", known, ", got \"", name, "\".");
}

Per ParsePer(const OpSpec &spec, const char *argument, bool pair_allowed) {
  const auto name = spec.GetArgument<std::string>(argument);
  if (pair_allowed)
    return Parse<Per>(argument, name,
                      {{"sample", Per::kSample}, {"pair", Per::kPair}, {"batch", Per::kBatch}});
  return Parse<Per>(argument, name, {{"sample", Per::kSample}, {"batch", Per::kBatch}});
}

std::vector<Method> ParseMethods(const OpSpec &spec) {
  std::vector<Method> methods;
  for (const auto &text : spec.GetRepeatedArgument<std::string>("methods"))
    methods.push_back(ParseMethod(text));
  if (methods.empty()) Refuse("methods must name at least one method, got none.");
  return methods;
}

template <typename Test>
bool Any(const std::vector<Method> &methods, Test &&test) {
  return std::any_of(methods.begin(), methods.end(), test);
}
bool MovesPartners(const std::vector<Method> &methods) {
  return Any(methods, [](const Method &m) { return m.kind == Kind::kRicap; });
}
bool FitsPartners(const std::vector<Method> &methods) {
  return Any(methods, [](const Method &m) { return m.kind == Kind::kResizeMix; });
}
bool DrawsFrames(const std::vector<Method> &methods) {
  return Any(methods, [](const Method &m) { return m.DrawsFrames(); });
}
bool DrawsMasks(const std::vector<Method> &methods) {
  return Any(methods, [](const Method &m) { return m.DrawsMask(); });
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
  if (fold.size() != methods_.size())
    Refuse("fold must have one value for each of the ", methods_.size(), " methods, got ",
           fold.size(), ".");
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
  if (given_partner_.Given()) pairing_ = Pairing::kGiven;
  for (const Method &method : methods_) {
    images_ = std::max(images_, method.images);
    boxes_ = std::max(boxes_, method.boxes);
  }
  CheckOptions(spec);
}

void PlanOp::CheckOptions(const OpSpec &spec) const {
  const bool pairs =
      pairing_ == Pairing::kDerange || pairing_ == Pairing::kReverse || pairing_ == Pairing::kGiven;
  if (per_ == Per::kPair && !pairs)
    Refuse("per=\"pair\" needs partners that pair up, got \"",
           spec.GetArgument<std::string>("pairing"),
           "\". Use \"derange\" (a random matching) or \"reverse\".");
  if (per_ == Per::kPair && images_ > 2)
    Refuse("per=\"pair\" needs methods of two images, got one of ", images_, ".");
  if (images_ > 2 && boxes_ > 1)
    Refuse("methods of several boxes cannot be combined with methods of more than two images.");
  const bool by_class = pairing_ == Pairing::kSameClass || pairing_ == Pairing::kOtherClass;
  if (by_class && !classes_.Given())
    Refuse("partners by class need the classes: pass labels, or classes to the operator.");
  if (given_box_.Given() && given_lam_.HasExplicitValue())
    Refuse("box cannot be combined with lam: the box decides it.");
  if (given_box_.Given() &&
      !Any(methods_, [](const Method &method) { return method.kind == Kind::kCutMix; }))
    Refuse("box needs a method that cuts, got no cutmix. Add cutmix, or give lam.");
  if (given_partner_.Given() && others_ && FitsPartners(methods_))
    Refuse("partner cannot be given where others are resized into the box.");
  CheckGivenLam();
}

// Given, not drawn: of methods that can leave that share.
void PlanOp::CheckGivenLam() const {
  if (!given_lam_.HasExplicitValue()) return;
  if (Any(methods_, [](const Method &method) { return method.kind == Kind::kSmoothMix; }))
    Refuse("lam cannot be given to smoothmix: its bell decides it.");
  if (Any(methods_, [](const Method &method) { return method.minmax.high > 0; }))
    Refuse("lam cannot be given to cutmix with minmax: the sides of its box decide it.");
  if (images_ > 2) Refuse("lam needs methods of two images, got one of ", images_, ".");
}

void PlanOp::AcquireArguments(const Workspace &ws) {
  const int count = static_cast<int>(sizes_.size());
  const int per_method = static_cast<int>(methods_.size());
  AcquireArgument(alpha_, "alpha", spec_, ws, count, per_method);
  AcquireArgument(weights_, "weights", spec_, ws, count, per_method);
  AcquireArgument(prob_, "prob", spec_, ws, count);
  if (given_lam_.HasExplicitValue()) AcquireArgument(given_lam_, "lam", spec_, ws, count);
  given_partner_.Acquire(ws, count);
  given_box_.Acquire(ws, count);
  classes_.Acquire(ws, count);
  const auto check = [count](const char *name, const Column<int> &column, int length) {
    if (count > 0 && column.Given() && column.Length() != length)
      Refuse(name, " must hold ", length, length == 1 ? " value" : " values",
             " for each sample, got ", column.Length(), ".");
  };
  check("partner", given_partner_, images_ - 1);
  check("box", given_box_, 4);
  if (count > 0 && classes_.Given() && classes_.Length() != 1)
    Refuse("labels must be class ids, one for each sample, for partners by class, got ",
           classes_.Length(), " values.");
}

void PlanOp::CheckAlphaAndProb() const {
  for (size_t i = 0; i < sizes_.size(); i++) {
    for (size_t m = 0; m < methods_.size(); m++) {
      const float alpha = alpha_[i].data[m], weight = weights_[i].data[m];
      if (!(alpha >= 0 && std::isfinite(alpha)))
        Refuse("alpha must be finite and not negative (0 switches mixing off), got ", alpha,
               " for sample ", i, ".");
      if (!(weight >= 0 && std::isfinite(weight)))
        Refuse("weights must be finite and not negative, got ", weight, " for sample ", i, ".");
    }
    const float *weights = weights_[i].data;
    if (std::all_of(weights, weights + methods_.size(), [](float w) { return w == 0; }))
      Refuse("weights must not all be 0, got only zeros for sample ", i, ".");
    const float prob = prob_[i].data[0];
    if (!(prob >= 0 && prob <= 1))
      Refuse("prob must be in [0, 1], got ", prob, " for sample ", i, ".");
    if (given_lam_.HasExplicitValue()) {
      const float lam = given_lam_[i].data[0];
      if (!(lam >= 0 && lam <= 1))
        Refuse("lam must be in [0, 1], got ", lam, " for sample ", i, ".");
    }
  }
}

void PlanOp::CheckGivenPartners() const {
  const int count = static_cast<int>(sizes_.size());
  for (const auto &partner : partners_)
    for (int i = 0; i < count; i++)
      if (partner[i] < 0 || partner[i] >= (others_ ? 2 * count : count))
        Refuse("partner must be an index into the batch of ", count,
               others_ ? " and the others behind it" : "", ", got ", partner[i], " for sample ", i,
               ".");
  const auto &partner = partners_[0];
  for (int i = 0; i < count && per_ == Per::kPair; i++)
    if (partner[i] >= count || partner[partner[i]] != i)
      Refuse("per=\"pair\" needs partners that pair up, got partner ", partner[i], " for sample ",
             i, " and partner ", partner[i] < count ? partner[partner[i]] : -1, " for sample ",
             partner[i], ".");
}

// Methods whose pattern must fit the size.
void PlanOp::CheckMethods() const {
  if (DrawsFrames(methods_) && !sequences_ && !sizes_.empty())
    Refuse(
        "extent needs videos or volumes, of a layout with F or D, to cut in time, got none: "
        "pass images, or take extent=\"space\".");
  for (const Method &method : methods_) {
    if (method.kind != Kind::kPatchMix) continue;
    for (size_t i = 0; i < sizes_.size(); i++)
      if (sizes_[i].height % method.patch_height || sizes_[i].width % method.patch_width)
        Refuse("patch must divide the output of ", sizes_[i].height, " x ", sizes_[i].width,
               ", got ", method.patch_height, " x ", method.patch_width, " for sample ", i, ".");
  }
}

void PlanOp::PairUp() {
  const int count = static_cast<int>(sizes_.size());
  partners_.clear();
  for (int k = 0; k + 1 < images_; k++) {
    const uint64_t stream = k == 0 ? kPairs : kMorePairs + k;
    partners_.push_back(DrawPartners(count, pairing_, per_, StreamOf(0, stream)));
    auto &partner = partners_.back();
    if (k > 0 && pairing_ == Pairing::kOthers) {
      // The first partner is the one across; further ones are any.
      partner = DrawPartners(count, Pairing::kDerange, per_, StreamOf(0, stream));
      for (int &index : partner) index += count;
    }
    if (k > 0 && (pairing_ == Pairing::kReverse || pairing_ == Pairing::kRoll))
      partner = DrawPartners(count, Pairing::kDerange, per_, StreamOf(0, stream));
    if (pairing_ == Pairing::kSameClass || pairing_ == Pairing::kOtherClass) {
      std::vector<int> classes(count);
      for (int i = 0; i < count; i++) classes[i] = classes_[i][0];
      for (int i = 0; i < count; i++)
        partner[i] = DrawByClass(classes, i, pairing_ == Pairing::kSameClass, StreamOf(i, stream));
    }
    if (pairing_ == Pairing::kGiven)
      for (int i = 0; i < count; i++) partner[i] = given_partner_[i][k];
  }
  if (pairing_ == Pairing::kGiven) CheckGivenPartners();
}

void PlanOp::AcquireSizes(const Workspace &ws) {
  const bool has_input = ws.NumInput() > 0;
  const int count = has_input ? ws.GetInputBatchSize(0) : ws.GetRequestedBatchSize(0);
  sizes_.assign(count, Volume{});
  crop_size_.Acquire(spec_, ws, count);
  if (!crop_size_.Given() && !has_input)
    Refuse("plan needs images or a size: pass one of the two.");
  const dali::TensorLayout layout = has_input ? ws.GetInputLayout(0) : dali::TensorLayout();
  const int axis = std::max(layout.find('F'), layout.find('D'));
  sequences_ = axis >= 0;
  for (int i = 0; i < count; i++) {
    const Extent image = crop_size_.Given() ? Extent{} : ExtentOf(ws.GetInputShape(0)[i], layout);
    const auto [height, width] = crop_size_(i, image);
    const int frames = sequences_ ? static_cast<int>(ws.GetInputShape(0)[i][axis]) : 1;
    sizes_[i] = {frames, height, width};
  }
}

bool PlanOp::SetupImpl(std::vector<dali::OutputDesc> &outputs, const Workspace &ws) {
  AcquireSizes(ws);
  AcquireArguments(ws);
  CheckAlphaAndProb();
  CheckMethods();
  PairUp();
  const int count = static_cast<int>(sizes_.size());
  drawn_.assign(count, DrawnSample{});
  for (int i = 0; i < count; i++) drawn_[i] = Draw(i);

  const auto shaped = [count](dali::TensorShape<> shape, dali::DALIDataType type) {
    return dali::OutputDesc{dali::uniform_list_shape(count, shape), type};
  };
  const bool many = images_ > 2;
  const dali::TensorShape<> scalar, images = {images_}, partners = {images_ - 1};
  const int boxes = many ? images_ - 1 : boxes_;
  outputs = {shaped(many ? partners : scalar, DALI_INT32),
             shaped(many ? images : scalar, DALI_FLOAT),
             shaped(boxes > 1 ? dali::TensorShape<>{boxes, 4} : dali::TensorShape<>{4}, DALI_INT32),
             shaped(many ? images : scalar, DALI_FLOAT), shaped({sequences_ ? 3 : 2}, DALI_INT32)};
  if (MovesPartners(methods_)) outputs.push_back(shaped({images_ - 1, 2}, DALI_INT32));
  if (FitsPartners(methods_)) outputs.push_back(shaped({2}, DALI_INT32));
  if (DrawsFrames(methods_)) outputs.push_back(shaped({2}, DALI_INT32));
  if (DrawsMasks(methods_)) {
    dali::TensorListShape<> masks(count, 2);
    for (int i = 0; i < count; i++)
      masks.set_tensor_shape(i, dali::TensorShape<2>{drawn_[i].mask.height, drawn_[i].mask.width});
    outputs.push_back({masks, DALI_UINT8});
  }
  return true;
}

Rng PlanOp::StreamOf(int unit, uint64_t stream) const {
  Rng rng = GetSampleRNG(unit);
  rng.skipahead(stream << 32);
  return rng;
}

// The sample whose random numbers decide for sample i.
int PlanOp::UnitOf(Per per, int i) const {
  if (per == Per::kBatch) return 0;
  return per_ == Per::kPair ? std::min(i, partners_[0][i]) : i;
}

// Whether sample i has no partner but itself.
bool PlanOp::IsAlone(int i) const {
  return std::all_of(partners_.begin(), partners_.end(),
                     [i](const std::vector<int> &partner) { return partner[i] == i; });
}

DrawnSample PlanOp::DrawMethod(int m, int i) const {
  const Method &method = methods_[m];
  const int unit = UnitOf(per_, i);
  const double alpha = alpha_[unit].data[m];
  if (alpha == 0 && !given_lam_.HasExplicitValue() && !given_box_.Given()) return {};
  if (given_box_.Given() && method.kind == Kind::kCutMix) {
    const int *b = given_box_[i];
    if (b[0] > b[2] || b[1] > b[3])
      Refuse("box must be (y0, x0, y1, x1) with y0 <= y1 and x0 <= x1, got (", b[0], ", ", b[1],
             ", ", b[2], ", ", b[3], ") for sample ", i, ".");
    return TakeBox({b[0], b[1], b[2], b[3]}, sizes_[i]);
  }
  Rng weight = StreamOf(unit, kMethod + 2 * m);
  double share = 1;
  if (method.kind == Kind::kResizeMix) {
    // Its side is drawn, not its share.
    share = Uniform(weight, method.scope.low, method.scope.high);
    if (given_lam_.HasExplicitValue()) share = std::sqrt(1.0 - given_lam_[i].data[0]);
  } else if (given_lam_.HasExplicitValue()) {
    share = given_lam_[i].data[0];
  } else if (alpha > 0) {
    share = DrawShare(alpha, fold_[m], weight);
  }
  return DrawSample(method, share, fold_[m], alpha, sizes_[i],
                    {weight, StreamOf(unit, kMethod + 2 * m + 1)});
}

DrawnSample PlanOp::Draw(int i) const {
  if (IsAlone(i)) return {};  // mixed with itself is itself
  const int prob_unit = UnitOf(prob_per_, i), choice_unit = UnitOf(choose_per_, i);
  Rng prob_rng = StreamOf(prob_unit, kProb), choice_rng = StreamOf(choice_unit, kChoice);
  if (!(Uniform(prob_rng) < prob_[prob_unit].data[0])) return {};
  const int m =
      Choose(weights_[choice_unit].data, static_cast<int>(methods_.size()), Uniform(choice_rng));
  DrawnSample drawn = DrawMethod(m, i);
  return drawn.lam[0] < 1.0f ? std::move(drawn) : DrawnSample{};
}

// `values(i)`: where those of sample i are.
template <typename T, typename Values>
void PlanOp::Write(Workspace &ws, int output, Values &&values) const {
  auto &tensors = ws.Output<CPUBackend>(output);
  for (int i = 0; i < tensors.num_samples(); i++)
    std::copy_n(values(i), tensors.shape()[i].num_elements(), tensors.mutable_tensor<T>(i));
}

void PlanOp::RunImpl(Workspace &ws) {
  std::vector<std::vector<int>> partners(sizes_.size());
  for (size_t i = 0; i < sizes_.size(); i++)
    for (const auto &partner : partners_)
      partners[i].push_back(drawn_[i].lam[0] < 1.0f ? partner[i] : static_cast<int>(i));
  Write<int>(ws, 0, [&](int i) { return partners[i].data(); });
  Write<float>(ws, 1, [&](int i) { return drawn_[i].weights; });
  Write<int>(ws, 2, [&](int i) { return &drawn_[i].boxes[0].y0; });
  Write<float>(ws, 3, [&](int i) { return drawn_[i].lam; });
  Write<int>(ws, 4, [&](int i) { return &sizes_[i].frames + (sequences_ ? 0 : 1); });
  int output = 5;
  if (MovesPartners(methods_))
    Write<int>(ws, output++, [&](int i) { return &drawn_[i].offsets[0][0]; });
  if (FitsPartners(methods_)) Write<int>(ws, output++, [&](int i) { return drawn_[i].fit; });
  if (DrawsFrames(methods_))
    Write<int>(ws, output++, [&](int i) { return &drawn_[i].first_frame; });
  if (DrawsMasks(methods_))
    Write<uint8_t>(ws, output, [&](int i) { return drawn_[i].mask.values.data(); });
}

}  // namespace dali_mix

namespace dali {
DALI_REGISTER_OPERATOR(dali_mix__Plan, dali_mix::PlanOp, CPU);
}  // namespace dali
