// fn.dali_mix.plan: draws the plan of a batch. Looks at the count and the shapes of the images
// only.
#include "plan_op.h"

namespace dali_mix {

void PlanOp::PairUp() {
  const int count = static_cast<int>(sizes_.size());
  if (pairing_ == Pairing::kGiven) {
    partners_.assign(count, {});
    for (int i = 0; i < count; i++) {
      partners_[i].assign(given_partner_[i], given_partner_[i] + images_ - 1);
    }
    CheckGivenPartners();
    return;
  }
  PartnerRules rules = {count, images_, pairing_, per_ == Per::kPair, {}};
  if (pairing_ == Pairing::kSameClass || pairing_ == Pairing::kOtherClass) {
    for (int i = 0; i < count; i++) {
      rules.classes.push_back(classes_[i][0]);
    }
  }
  partners_ =
      DrawPartners(rules, [this](int sample, uint64_t stream) { return StreamOf(sample, stream); });
}

void PlanOp::AcquireSizes(const Workspace &ws) {
  const bool has_input = ws.NumInput() > 0;
  const int count = has_input ? ws.GetInputBatchSize(0) : ws.GetRequestedBatchSize(0);
  sizes_.assign(count, Volume{});
  crop_size_.Acquire(spec_, ws, count);
  if (!crop_size_.Given() && !has_input) {
    Refuse("plan needs images or a size: pass one of the two.");
  }
  const dali::TensorLayout layout = has_input ? ws.GetInputLayout(0) : dali::TensorLayout();
  const dali::TensorListShape<> shapes =
      has_input ? ws.GetInputShape(0) : dali::TensorListShape<>();
  const int axis = std::max(layout.find('F'), layout.find('D'));
  sequences_ = axis >= 0;
  for (int i = 0; i < count; i++) {
    const Extent image = crop_size_.Given() ? Extent{} : ExtentOf(shapes[i], layout);
    const auto [height, width] = crop_size_(i, image);
    const int frames = sequences_ ? static_cast<int>(shapes[i][axis]) : 1;
    sizes_[i] = {frames, height, width};
  }
}

bool PlanOp::SetupImpl(std::vector<dali::OutputDesc> &outputs, const Workspace &ws) {
  AcquireSizes(ws);
  AcquireArguments(ws);
  CheckValues();
  CheckMethods();
  PairUp();
  DrawAll(ws);

  const int count = static_cast<int>(sizes_.size());
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
  if (MovesPartners(methods_)) {
    outputs.push_back(shaped({images_ - 1, 2}, DALI_INT32));
  }
  if (FitsPartners(methods_)) {
    outputs.push_back(shaped({2}, DALI_INT32));
  }
  if (DrawsFrames(methods_)) {
    outputs.push_back(shaped({2}, DALI_INT32));
  }
  if (DrawsMasks(methods_)) {
    dali::TensorListShape<> masks(count, 2);
    for (int i = 0; i < count; i++) {
      masks.set_tensor_shape(i, dali::TensorShape<2>{drawn_[i].mask.height, drawn_[i].mask.width});
    }
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
  if (per == Per::kBatch) {
    return 0;
  }
  return per_ == Per::kPair ? std::min(i, partners_[i][0]) : i;
}

// Whether sample i has no partner but itself.
bool PlanOp::IsAlone(int i) const {
  return std::all_of(partners_[i].begin(), partners_[i].end(),
                     [i](int partner) { return partner == i; });
}

DrawnSample PlanOp::DrawMethod(int m, int i) const {
  const Method &method = methods_[m];
  const int unit = UnitOf(per_, i);
  const double alpha = alpha_[unit].data[m];
  if (given_box_.Given() && method.kind == Kind::kCutMix) {
    const int *b = given_box_[i];
    return TakeBox({b[0], b[1], b[2], b[3]}, sizes_[i]);
  }
  if (alpha == 0 && !given_lam_.HasExplicitValue()) {
    return {};
  }
  Rng weight = StreamOf(unit, kMethod + 2 * m);
  double share = 1;
  if (method.kind == Kind::kResizeMix) {
    // Its side is drawn, not its share.
    share = Uniform(weight, method.scope.low, method.scope.high);
    if (given_lam_.HasExplicitValue()) {
      share = std::sqrt(1.0 - given_lam_[i].data[0]);
    }
  } else if (given_lam_.HasExplicitValue()) {
    share = given_lam_[i].data[0];
  } else if (alpha > 0) {
    share = DrawShare(alpha, fold_[m], weight);
  }
  return DrawSample(method, share, fold_[m], alpha, sizes_[i],
                    {weight, StreamOf(unit, kMethod + 2 * m + 1)});
}

DrawnSample PlanOp::Draw(int i) const {
  if (IsAlone(i)) {
    return {};  // mixed with itself is itself
  }
  const int prob_unit = UnitOf(prob_per_, i), choice_unit = UnitOf(choose_per_, i);
  // Nothing is drawn where there is nothing to decide: seeking to a stream takes a while.
  if (const float prob = prob_[prob_unit].data[0]; prob < 1) {
    Rng rng = StreamOf(prob_unit, kProb);
    if (!(Uniform(rng) < prob)) {
      return {};
    }
  }
  int m = 0;
  if (methods_.size() > 1) {
    Rng rng = StreamOf(choice_unit, kChoice);
    m = Choose(weights_[choice_unit].data, static_cast<int>(methods_.size()), Uniform(rng));
  }
  DrawnSample drawn = DrawMethod(m, i);
  return drawn.lam[0] < 1.0f ? std::move(drawn) : DrawnSample{};
}

void PlanOp::DrawAll(const Workspace &ws) {
  const int count = static_cast<int>(sizes_.size());
  drawn_.assign(count, DrawnSample{});
  const auto draw = [this](int i) { drawn_[i] = Draw(i); };
  if (!DrawsMasks(methods_)) {
    for (int i = 0; i < count; i++) {
      draw(i);
    }
    return;
  }
  // Masks are worth the threads. Every sample has random numbers of its own.
  auto &threads = ws.GetThreadPool();
  for (int i = 0; i < count; i++) {
    threads.AddWork([draw, i] { draw(i); });
  }
  threads.RunAll();
}

// `values(i)`: where those of sample i are.
template <typename T, typename Values>
void PlanOp::Write(Workspace &ws, int output, Values &&values) const {
  auto &tensors = ws.Output<CPUBackend>(output);
  for (int i = 0; i < tensors.num_samples(); i++) {
    std::copy_n(values(i), tensors.shape().tensor_size(i), tensors.mutable_tensor<T>(i));
  }
}

void PlanOp::RunImpl(Workspace &ws) {
  Partners partners = partners_;
  for (size_t i = 0; i < sizes_.size(); i++) {
    if (drawn_[i].lam[0] == 1.0f) {
      partners[i].assign(images_ - 1, static_cast<int>(i));
    }
  }
  Write<int>(ws, 0, [&](int i) { return partners[i].data(); });
  Write<float>(ws, 1, [&](int i) { return drawn_[i].weights; });
  Write<int>(ws, 2, [&](int i) { return &drawn_[i].boxes[0].y0; });
  Write<float>(ws, 3, [&](int i) { return drawn_[i].lam; });
  Write<int>(ws, 4, [&](int i) { return &sizes_[i].frames + (sequences_ ? 0 : 1); });
  int output = 5;
  if (MovesPartners(methods_)) {
    Write<int>(ws, output++, [&](int i) { return &drawn_[i].offsets[0][0]; });
  }
  if (FitsPartners(methods_)) {
    Write<int>(ws, output++, [&](int i) { return drawn_[i].fit; });
  }
  if (DrawsFrames(methods_)) {
    Write<int>(ws, output++, [&](int i) { return &drawn_[i].first_frame; });
  }
  if (DrawsMasks(methods_)) {
    Write<uint8_t>(ws, output, [&](int i) { return drawn_[i].mask.values.data(); });
  }
}

}  // namespace dali_mix

namespace dali {
DALI_REGISTER_OPERATOR(dali_mix__Plan, dali_mix::PlanOp, CPU);
}  // namespace dali
