// Draws partners by the rules of the pairings.
#include "draw/partners.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace dali_mix {

namespace {

std::vector<int> Ascending(int count) {
  std::vector<int> order(count);
  std::iota(order.begin(), order.end(), 0);
  return order;
}

// Draws a permutation without fixed points, each equally likely. It shuffles until there is no
// fixed point, which takes 2.7 tries on average.
void Derange(std::vector<int> &order, Random &random) {
  if (order.size() < 2) {
    return;
  }
  const auto has_fixed_point = [&order] {
    for (size_t i = 0; i < order.size(); i++) {
      if (order[i] == static_cast<int>(i)) {
        return true;
      }
    }
    return false;
  };
  do {
    Shuffle(order, random);
  } while (has_fixed_point());
}

// Draws disjoint pairs, each matching equally likely. An odd one stays its own partner.
void Match(std::vector<int> &partner, Random &random) {
  std::vector<int> order = partner;
  Shuffle(order, random);
  for (size_t i = 0; i + 1 < order.size(); i += 2) {
    partner[order[i]] = order[i + 1];
    partner[order[i + 1]] = order[i];
  }
}

// Pairs neighbours in the order of their aspects. Where these are equal the order is drawn. An odd
// one, each equally likely, stays its own partner.
void MatchByAspect(std::vector<int> &partner, const std::vector<double> &aspects, Random &random) {
  std::vector<int> order = partner;
  Shuffle(order, random);
  if (order.size() % 2 == 1) {
    order.pop_back();
  }
  std::stable_sort(order.begin(), order.end(),
                   [&aspects](int a, int b) { return aspects[a] < aspects[b]; });
  for (size_t i = 0; i + 1 < order.size(); i += 2) {
    partner[order[i]] = order[i + 1];
    partner[order[i + 1]] = order[i];
  }
}

// The partner for pairings that depend on the place in the batch only.
int PartnerByPlace(Pairing pairing, int i, int samples) {
  switch (pairing) {
    case Pairing::kReverse:
      return samples - 1 - i;
    case Pairing::kRoll:  // the image before, as torchvision and FFCV pair
      return (i + samples - 1) % samples;
    default:  // image i of the others
      return i + samples;
  }
}

// Draws one partner for each sample, for pairings that do not use classes.
std::vector<int> DrawSingle(const PartnerRules &rules, Random &random) {
  std::vector<int> partner = Ascending(rules.samples);
  switch (rules.pairing) {
    case Pairing::kDerange:
      rules.matched ? Match(partner, random) : Derange(partner, random);
      break;
    case Pairing::kShuffle:
      Shuffle(partner, random);
      break;
    case Pairing::kAspect:
      MatchByAspect(partner, rules.aspects, random);
      break;
    default:
      for (int &index : partner) {
        index = PartnerByPlace(rules.pairing, index, rules.samples);
      }
  }
  return partner;
}

// Draws a cyclic order of the images, each equally likely. The partners of a sample are successive
// images in it. They begin after the sample's own place; with "others" at that place, which is
// image i of the others; with "shuffle" anywhere.
Partners DrawSuccessors(const PartnerRules &rules, const RandomStreams &streams) {
  const int count = rules.samples;
  std::vector<int> order = Ascending(count), place = order;
  Shuffle(order, *streams.Open(0, kPairs));
  for (int p = 0; p < count; p++) {
    place[order[p]] = p;
  }
  if (rules.pairing == Pairing::kShuffle) {
    Shuffle(place, *streams.Open(0, kMorePairs));
  }
  const bool skips_own = rules.pairing == Pairing::kDerange;
  const int distinct = skips_own ? std::max(count - 1, 1) : count;
  const int behind = rules.pairing == Pairing::kOthers ? count : 0;
  Partners partners(count, std::vector<int>(rules.images - 1));
  for (int i = 0; i < count; i++) {
    for (int k = 0; k + 1 < rules.images; k++) {
      partners[i][k] = order[(place[i] + skips_own + k % distinct) % count] + behind;
    }
  }
  return partners;
}

// Adds partners from the candidates, each equally likely, until there are `wanted`. If there are
// too few candidates, the partners are repeated.
void DrawFurther(std::vector<int> &partners, int wanted, std::vector<int> candidates,
                 Random &random) {
  int left = static_cast<int>(candidates.size());
  while (left > 0 && static_cast<int>(partners.size()) < wanted) {
    const int drawn = UniformInt(random, left);
    partners.push_back(candidates[drawn]);
    candidates[drawn] = candidates[--left];
  }
  for (size_t k = 0; static_cast<int>(partners.size()) < wanted; k++) {
    partners.push_back(partners[k]);
  }
}

// With "reverse" and "roll", the place gives the first partner, unless that is the sample itself.
// Further partners are drawn.
Partners DrawAfterFirst(const PartnerRules &rules, const RandomStreams &streams) {
  Partners partners(rules.samples);
  for (int i = 0; i < rules.samples; i++) {
    const int first = PartnerByPlace(rules.pairing, i, rules.samples);
    std::vector<int> others = Ascending(rules.samples);
    std::erase_if(others, [i, first](int j) { return j == i || j == first; });
    if (first != i || others.empty()) {
      partners[i].push_back(first);
    }
    DrawFurther(partners[i], rules.images - 1, std::move(others), *streams.Open(i, kMorePairs));
  }
  return partners;
}

// Draws partners among the other samples of the same class, or of other classes.
Partners DrawByClass(const PartnerRules &rules, const RandomStreams &streams) {
  const bool same = rules.pairing == Pairing::kSameClass;
  Partners partners(rules.samples);
  for (int i = 0; i < rules.samples; i++) {
    std::vector<int> candidates = Ascending(rules.samples);
    std::erase_if(candidates,
                  [&](int j) { return j == i || (rules.classes[j] == rules.classes[i]) != same; });
    if (candidates.empty()) {
      candidates.push_back(i);
    }
    DrawFurther(partners[i], rules.images - 1, std::move(candidates), *streams.Open(i, kPairs));
  }
  return partners;
}

}  // namespace

Partners DrawPartners(const PartnerRules &rules, const RandomStreams &streams) {
  if (rules.pairing == Pairing::kSameClass || rules.pairing == Pairing::kOtherClass) {
    return DrawByClass(rules, streams);
  }
  if (rules.images > 2) {
    const bool by_place = rules.pairing == Pairing::kReverse || rules.pairing == Pairing::kRoll;
    return by_place ? DrawAfterFirst(rules, streams) : DrawSuccessors(rules, streams);
  }
  Partners partners;
  for (const int partner : DrawSingle(rules, *streams.Open(0, kPairs))) {
    partners.push_back({partner});
  }
  return partners;
}

}  // namespace dali_mix
