// fn.dali_mix.plan: draws the plan of a batch. Looks at the count and the shapes of the images
// only.
#include "arguments.h"
#include "draw.h"

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
  void AcquireArguments(const Workspace &ws);
  void CheckAlphaAndProb() const;
  void PairUp();
  void CheckGivenPartners() const;
  int UnitOf(Per per, int i) const;
  DrawnSample Draw(int i) const;
  DrawnSample DrawMethod(int m, int i) const;
  Rng StreamOf(int unit, uint64_t stream) const;

  ArgValue<float, 1> alpha_, weights_;
  ArgValue<float> prob_, given_lam_;
  ArgValue<int> given_partner_;
  ArgValue<int, 1> given_box_;
  CropSize crop_size_;
  std::vector<Method> methods_;
  std::vector<bool> fold_;
  Per per_, prob_per_, choose_per_;
  Pairing pairing_;

  std::vector<Extent> sizes_;
  std::vector<int> partner_;
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

}  // namespace

PlanOp::PlanOp(const OpSpec &spec)
    : Base(spec),
      alpha_("alpha", spec),
      weights_("weights", spec),
      prob_("prob", spec),
      given_lam_("lam", spec),
      given_partner_("partner", spec),
      given_box_("box", spec),
      crop_size_(spec) {
  for (const auto &name : spec.GetRepeatedArgument<std::string>("methods"))
    methods_.push_back(
        Parse<Method>("methods", name, {{"mixup", Method::kMixUp}, {"cutmix", Method::kCutMix}}));
  if (methods_.empty()) Refuse("methods must name at least one method, got none.");
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
                             {"roll", Pairing::kRoll}});
  if (given_partner_.HasExplicitValue()) pairing_ = Pairing::kGiven;
  if (per_ == Per::kPair && (pairing_ == Pairing::kShuffle || pairing_ == Pairing::kRoll))
    Refuse("per=\"pair\" needs partners that pair up, got \"",
           spec.GetArgument<std::string>("pairing"),
           "\". Use \"derange\" (a random matching) or \"reverse\".");
  if (given_box_.HasExplicitValue() && given_lam_.HasExplicitValue())
    Refuse("box cannot be combined with lam: the box decides it.");
  if (given_box_.HasExplicitValue() &&
      std::find(methods_.begin(), methods_.end(), Method::kCutMix) == methods_.end())
    Refuse("box needs a method that cuts, got only mixup. Add cutmix, or give lam.");
}

void PlanOp::AcquireArguments(const Workspace &ws) {
  const int count = static_cast<int>(sizes_.size());
  const int per_method = static_cast<int>(methods_.size());
  AcquireArgument(alpha_, "alpha", spec_, ws, count, per_method);
  AcquireArgument(weights_, "weights", spec_, ws, count, per_method);
  AcquireArgument(prob_, "prob", spec_, ws, count);
  if (given_lam_.HasExplicitValue()) AcquireArgument(given_lam_, "lam", spec_, ws, count);
  if (given_partner_.HasExplicitValue())
    AcquireArgument(given_partner_, "partner", spec_, ws, count);
  if (given_box_.HasExplicitValue()) AcquireArgument(given_box_, "box", spec_, ws, count, 4);
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
  const int count = static_cast<int>(partner_.size());
  for (int i = 0; i < count; i++)
    if (partner_[i] < 0 || partner_[i] >= count)
      Refuse("partner must be an index into the batch of ", count, ", got ", partner_[i],
             " for sample ", i, ".");
  for (int i = 0; i < count && per_ == Per::kPair; i++)
    if (partner_[partner_[i]] != i)
      Refuse("per=\"pair\" needs partners that pair up, got partner ", partner_[i], " for sample ",
             i, " and partner ", partner_[partner_[i]], " for sample ", partner_[i], ".");
}

void PlanOp::PairUp() {
  const int count = static_cast<int>(sizes_.size());
  partner_ = DrawPartners(count, pairing_, per_, StreamOf(0, kPairs));
  if (pairing_ != Pairing::kGiven) return;
  for (int i = 0; i < count; i++) partner_[i] = given_partner_[i].data[0];
  CheckGivenPartners();
}

bool PlanOp::SetupImpl(std::vector<dali::OutputDesc> &outputs, const Workspace &ws) {
  const bool has_input = ws.NumInput() > 0;
  const int count = has_input ? ws.GetInputBatchSize(0) : ws.GetRequestedBatchSize(0);
  sizes_.assign(count, Extent{});
  crop_size_.Acquire(spec_, ws, count);
  if (!crop_size_.Given() && !has_input)
    Refuse("plan needs images or a size: pass one of the two.");
  for (int i = 0; i < count; i++) {
    const Extent image =
        crop_size_.Given() ? Extent{} : ExtentOf(ws.GetInputShape(0)[i], ws.GetInputLayout(0));
    sizes_[i] = crop_size_(i, image);
  }
  AcquireArguments(ws);
  CheckAlphaAndProb();
  const auto scalars = dali::uniform_list_shape(count, dali::TensorShape<>{});
  const auto vectors = [count](int64_t length) {
    return dali::uniform_list_shape(count, dali::TensorShape<>{length});
  };
  outputs = {{scalars, DALI_INT32},
             {scalars, DALI_FLOAT},
             {vectors(4), DALI_INT32},
             {scalars, DALI_FLOAT},
             {vectors(2), DALI_INT32}};
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
  return per_ == Per::kPair ? std::min(i, partner_[i]) : i;
}

DrawnSample PlanOp::DrawMethod(int m, int i) const {
  const int unit = UnitOf(per_, i);
  const float lam = given_lam_.HasExplicitValue()
                        ? given_lam_[i].data[0]
                        : DrawLam(alpha_[unit].data[m], fold_[m], StreamOf(unit, kMethod + 2 * m));
  const auto [height, width] = sizes_[i];
  switch (methods_[m]) {
    case Method::kMixUp:
      return {lam, Box{}, lam};
    case Method::kCutMix:
      break;
  }
  Box box;
  if (given_box_.HasExplicitValue()) {
    const int *b = given_box_[i].data;
    if (b[0] > b[2] || b[1] > b[3])
      Refuse("box must be (y0, x0, y1, x1) with y0 <= y1 and x0 <= x1, got (", b[0], ", ", b[1],
             ", ", b[2], ", ", b[3], ") for sample ", i, ".");
    box = {std::max(b[0], 0), std::max(b[1], 0), std::min(b[2], height), std::min(b[3], width)};
    if (box.Empty()) box = Box{};
  } else {
    box = DrawBox(lam, height, width, StreamOf(unit, kMethod + 2 * m + 1));
  }
  return {1.0f, box, CountLam(box, height, width)};
}

DrawnSample PlanOp::Draw(int i) const {
  if (partner_[i] == i) return {};  // mixed with itself is itself
  const int prob_unit = UnitOf(prob_per_, i), choice_unit = UnitOf(choose_per_, i);
  Rng prob_rng = StreamOf(prob_unit, kProb), choice_rng = StreamOf(choice_unit, kChoice);
  if (!(Uniform(prob_rng) < prob_[prob_unit].data[0])) return {};
  const int m =
      Choose(weights_[choice_unit].data, static_cast<int>(methods_.size()), Uniform(choice_rng));
  return DrawMethod(m, i);
}

void PlanOp::RunImpl(Workspace &ws) {
  PairUp();
  auto &partner = ws.Output<CPUBackend>(0), &blend = ws.Output<CPUBackend>(1),
       &box = ws.Output<CPUBackend>(2), &lam = ws.Output<CPUBackend>(3),
       &size = ws.Output<CPUBackend>(4);
  for (int i = 0; i < static_cast<int>(sizes_.size()); i++) {
    const DrawnSample drawn = Draw(i);
    const bool mixed = drawn.lam < 1.0f;
    *partner.mutable_tensor<int>(i) = mixed ? partner_[i] : i;
    *blend.mutable_tensor<float>(i) = drawn.blend;
    *lam.mutable_tensor<float>(i) = drawn.lam;
    const Box &b = drawn.box;
    const int corners[4] = {b.y0, b.x0, b.y1, b.x1};
    std::copy(corners, corners + 4, box.mutable_tensor<int>(i));
    size.mutable_tensor<int>(i)[0] = sizes_[i].height;
    size.mutable_tensor<int>(i)[1] = sizes_[i].width;
  }
}

}  // namespace dali_mix

namespace dali {
DALI_REGISTER_OPERATOR(dali_mix__Plan, dali_mix::PlanOp, CPU);
}  // namespace dali
