// The partners of a batch: drawn, or given and checked.
#include <algorithm>

#include "plan_arguments.h"

namespace dali_mix {

Partners PlanArguments::PartnersOf(const RandomStreams &streams) const {
  if (pairing_ == Pairing::kGiven) {
    return GivenPartners();
  }
  PartnerRules rules = {Count(), images, pairing_, per == Per::kPair, {}, {}};
  for (const Volume &size : sizes) {
    rules.aspects.push_back(static_cast<double>(size.height) / std::max(size.width, 1));
  }
  if (IsByClass(pairing_)) {
    for (int i = 0; i < Count(); i++) {
      rules.classes.push_back(classes_[i][0]);
    }
  }
  return DrawPartners(rules, streams);
}

Partners PlanArguments::GivenPartners() const {
  Partners partners(Count());
  for (int i = 0; i < Count(); i++) {
    partners[i].assign(given_partner_[i], given_partner_[i] + images - 1);
    for (const int partner : partners[i]) {
      CheckPartner(partner, i, Count(), others_ ? 2 : 1);
    }
  }
  if (per == Per::kPair) {
    CheckPairs(partners);
  }
  return partners;
}

void PlanArguments::CheckPairs(const Partners &partners) const {
  for (int i = 0; i < Count(); i++) {
    const int partner = partners[i][0];
    const int back = partner < Count() ? partners[partner][0] : -1;
    if (back != i) {
      Refuse("per=\"pair\" needs partners that pair up, got partner ", partner, " for sample ", i,
             " and partner ", back, " for sample ", partner, ".");
    }
  }
}

}  // namespace dali_mix
