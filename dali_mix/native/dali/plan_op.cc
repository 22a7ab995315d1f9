// fn.dali_mix.plan: draws the plan of a batch. It reads only the number and the shapes of the
// images.
#include <algorithm>
#include <utility>
#include <vector>

#include "draw/mosaic.h"
#include "plan_arguments.h"
#include "random_streams.h"

namespace dali_mix {

using dali::CPUBackend;
using dali::OpSpec;
using dali::Workspace;

class PlanOp : public dali::rng::OperatorWithRng<dali::Operator<CPUBackend>> {
 public:
  using Base = dali::rng::OperatorWithRng<dali::Operator<CPUBackend>>;
  explicit PlanOp(const OpSpec &spec) : Base(spec), arguments_(spec) {}

  bool SetupImpl(std::vector<dali::OutputDesc> &outputs, const Workspace &ws) override;
  void RunImpl(Workspace &ws) override;

 private:
  int UnitOf(Per per, int i) const;
  bool IsAlone(int i) const;
  void DrawAll(const Workspace &ws, const RandomStreams &streams);
  DrawnSample Draw(const RandomStreams &streams, int i) const;
  DrawnSample DrawTiles(const Method &method, int number, const RandomStreams &streams,
                        int i) const;
  DrawnSample Unmixed(int i) const;
  bool IsUnmixed(int i) const;
  template <typename T, typename Values>
  void Write(Workspace &ws, int output, Values &&values) const;

  PlanArguments arguments_;
  Partners partners_;
  std::vector<DrawnSample> drawn_;
  std::vector<Volume> outputs_;  // sizes
};

bool PlanOp::SetupImpl(std::vector<dali::OutputDesc> &outputs, const Workspace &ws) {
  arguments_.Acquire(spec_, ws);
  const DaliStreams streams([this](int sample) { return GetSampleRNG(sample); });
  partners_ = arguments_.PartnersOf(streams);
  DrawAll(ws, streams);
  outputs_.clear();
  for (const Volume &size : arguments_.sizes) {
    outputs_.push_back(arguments_.OutputOf(size));
  }

  const int count = arguments_.Count(), images = arguments_.images;
  const auto shaped = [count](dali::TensorShape<> shape, dali::DALIDataType type) {
    return dali::OutputDesc{dali::uniform_list_shape(count, shape), type};
  };
  const bool many = images > 2, canvas = arguments_.further.fill;
  const dali::TensorShape<> scalar, of_images = {images}, of_partners = {images - 1};
  const int placed = canvas ? images : images - 1;  // images that have a box or an offset
  const int boxes = many ? placed : arguments_.boxes;
  outputs = {shaped(many ? of_partners : scalar, DALI_INT32),
             shaped(many ? of_images : scalar, DALI_FLOAT),
             shaped(boxes > 1 ? dali::TensorShape<>{boxes, 4} : dali::TensorShape<>{4}, DALI_INT32),
             shaped(many ? of_images : scalar, DALI_FLOAT),
             shaped({arguments_.sequences ? 3 : 2}, DALI_INT32)};
  const FurtherColumns &further = arguments_.further;
  if (further.offset) {
    outputs.push_back(shaped({placed, 2}, DALI_INT32));
  }
  if (further.fit) {
    outputs.push_back(shaped({2}, DALI_INT32));
  }
  if (further.frames) {
    outputs.push_back(shaped({2}, DALI_INT32));
  }
  if (further.mask) {
    dali::TensorListShape<> masks(count, 2);
    for (int i = 0; i < count; i++) {
      masks.set_tensor_shape(i, dali::TensorShape<2>{drawn_[i].mask.height, drawn_[i].mask.width});
    }
    outputs.push_back({masks, DALI_UINT8});
  }
  if (canvas) {
    const auto values = static_cast<int64_t>(arguments_.methods[0].fill.size());
    outputs.push_back(shaped({values}, DALI_FLOAT));
    outputs.push_back(shaped({2}, DALI_INT32));
  }
  if (further.box_blend) {
    outputs.push_back(shaped(scalar, DALI_FLOAT));
  }
  return true;
}

// The sample whose random numbers sample i uses.
int PlanOp::UnitOf(Per per, int i) const {
  if (per == Per::kBatch) {
    return 0;
  }
  return arguments_.per == Per::kPair ? std::min(i, partners_[i][0]) : i;
}

// Whether all partners of sample i are itself.
bool PlanOp::IsAlone(int i) const {
  return std::all_of(partners_[i].begin(), partners_[i].end(),
                     [i](int partner) { return partner == i; });
}

DrawnSample PlanOp::Unmixed(int i) const {
  const Volume &size = arguments_.sizes[i];
  return arguments_.further.fill ? PlaceAlone(arguments_.methods[0], {size.height, size.width})
                                 : DrawnSample{};
}

// Whether no partner shows.
bool PlanOp::IsUnmixed(int i) const {
  const float *lam = drawn_[i].lam;
  return arguments_.further.fill
             ? std::all_of(lam + 1, lam + arguments_.images, [](float share) { return share == 0; })
             : lam[0] == 1.0f;
}

DrawnSample PlanOp::DrawTiles(const Method &method, int number, const RandomStreams &streams,
                              int i) const {
  const auto extent = [this](int image) {
    const Volume &size = arguments_.sizes[image];
    return Extent{size.height, size.width};
  };
  std::vector<Extent> tiles = {extent(i)};
  for (const int partner : partners_[i]) {
    tiles.push_back(extent(partner));
  }
  return DrawMosaic(method, number, tiles, streams, UnitOf(arguments_.per, i));
}

DrawnSample PlanOp::Draw(const RandomStreams &streams, int i) const {
  if (IsAlone(i)) {
    return Unmixed(i);  // mixing it with itself would not change it
  }
  const PlanArguments &arguments = arguments_;
  // A number is drawn only if it decides something, because seeking to a stream takes a while.
  const int prob_unit = UnitOf(arguments.prob_per, i);
  const float prob = arguments.Prob(prob_unit);
  if (prob < 1 && !(Uniform(*streams.Open(prob_unit, kProb)) < prob)) {
    return Unmixed(i);
  }
  int m = 0;
  if (arguments.methods.size() > 1) {
    const int unit = UnitOf(arguments.choose_per, i);
    m = Choose(arguments.MethodWeights(unit), static_cast<int>(arguments.methods.size()),
               Uniform(*streams.Open(unit, kChoice)));
  }
  if (arguments.further.fill) {
    return DrawTiles(arguments.methods[m], m, streams, i);
  }
  const Volume size = arguments.sizes[i];
  const Volume partner = arguments.methods[m].overlap ? arguments.sizes[partners_[i][0]] : size;
  const int unit = UnitOf(arguments.per, i);
  const auto box = arguments.GivenBox(m, i);
  DrawnSample drawn = box ? TakeBox(*box, size)
                          : DrawSample(arguments.methods[m], m, arguments.WantedOf(m, unit, i),
                                       size, partner, streams, unit);
  return drawn.lam[0] < 1.0f ? std::move(drawn) : DrawnSample{};
}

void PlanOp::DrawAll(const Workspace &ws, const RandomStreams &streams) {
  const int count = arguments_.Count();
  drawn_.assign(count, DrawnSample{});
  const auto draw = [this, &streams](int i) { drawn_[i] = Draw(streams, i); };
  if (!arguments_.further.mask) {
    for (int i = 0; i < count; i++) {
      draw(i);
    }
    return;
  }
  // Masks take long enough for threads. Every sample has random numbers of its own.
  auto &threads = ws.GetThreadPool();
  for (int i = 0; i < count; i++) {
    threads.AddWork([draw, i] { draw(i); });
  }
  threads.RunAll();
}

// `values(i)`: a pointer to the values of sample i.
template <typename T, typename Values>
void PlanOp::Write(Workspace &ws, int output, Values &&values) const {
  auto &tensors = ws.Output<CPUBackend>(output);
  for (int i = 0; i < tensors.num_samples(); i++) {
    std::copy_n(values(i), tensors.shape().tensor_size(i), tensors.mutable_tensor<T>(i));
  }
}

void PlanOp::RunImpl(Workspace &ws) {
  Partners partners = partners_;
  for (size_t i = 0; i < partners.size(); i++) {
    if (IsUnmixed(static_cast<int>(i))) {
      partners[i].assign(arguments_.images - 1, static_cast<int>(i));
    }
  }
  const std::vector<Volume> &sizes = arguments_.sizes;
  const bool sequences = arguments_.sequences;
  Write<int>(ws, 0, [&](int i) { return partners[i].data(); });
  Write<float>(ws, 1, [&](int i) { return drawn_[i].weights; });
  Write<int>(ws, 2, [&](int i) { return &drawn_[i].boxes[0].y0; });
  Write<float>(ws, 3, [&](int i) { return drawn_[i].lam; });
  Write<int>(ws, 4, [&](int i) { return sequences ? &outputs_[i].frames : &outputs_[i].height; });
  const FurtherColumns &further = arguments_.further;
  int output = 5;
  if (further.offset) {
    Write<int>(ws, output++, [&](int i) { return &drawn_[i].offsets[0][0]; });
  }
  if (further.fit) {
    Write<int>(ws, output++, [&](int i) { return drawn_[i].fit; });
  }
  if (further.frames) {
    Write<int>(ws, output++, [&](int i) { return &drawn_[i].first_frame; });
  }
  if (further.mask) {
    Write<uint8_t>(ws, output++, [&](int i) { return drawn_[i].mask.values.data(); });
  }
  if (further.fill) {
    Write<float>(ws, output++, [&](int) { return arguments_.methods[0].fill.data(); });
    Write<int>(ws, output++, [&](int i) { return &sizes[i].height; });
  }
  if (further.box_blend) {
    Write<float>(ws, output, [&](int i) { return &drawn_[i].box_blend; });
  }
}

}  // namespace dali_mix

namespace dali {

DALI_REGISTER_OPERATOR(dali_mix__Plan, dali_mix::PlanOp, CPU);

}  // namespace dali
