// The operator fn.dali_mix.plan: plan_arguments.cc reads and checks, plan_op.cc draws and writes.
#ifndef DALI_MIX_NATIVE_DALI_PLAN_OP_H_
#define DALI_MIX_NATIVE_DALI_PLAN_OP_H_

#include "arguments.h"
#include "draw/drawn.h"
#include "draw/partners.h"

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
  void CheckValues() const;
  void PairUp();
  void CheckGivenPartners() const;
  void CheckMethods() const;
  int UnitOf(Per per, int i) const;
  bool IsAlone(int i) const;
  void DrawAll(const Workspace &ws);
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
  Partners partners_;
  std::vector<DrawnSample> drawn_;
};

// Which columns the methods need beyond those that all have, in their order.
template <typename Test>
inline bool Any(const std::vector<Method> &methods, Test &&test) {
  return std::any_of(methods.begin(), methods.end(), test);
}
inline bool MovesPartners(const std::vector<Method> &methods) {
  return Any(methods, [](const Method &m) { return m.kind == Kind::kRicap; });
}
inline bool FitsPartners(const std::vector<Method> &methods) {
  return Any(methods, [](const Method &m) { return m.kind == Kind::kResizeMix; });
}
inline bool DrawsFrames(const std::vector<Method> &methods) {
  return Any(methods, [](const Method &m) { return m.DrawsFrames(); });
}
inline bool DrawsMasks(const std::vector<Method> &methods) {
  return Any(methods, [](const Method &m) { return m.DrawsMask(); });
}

}  // namespace dali_mix

#endif  // DALI_MIX_NATIVE_DALI_PLAN_OP_H_
