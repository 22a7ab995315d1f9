#include "method.h"

#include <functional>
#include <map>
#include <sstream>

#include "arguments.h"

namespace dali_mix {

namespace {

double Number(const std::string &text) {
  size_t used = 0;
  double value = 0;
  try {
    value = std::stod(text, &used);
  } catch (const std::exception &) {
  }
  if (used != text.size() || text.empty())
    Refuse("methods must have numbers as options, got \"", text, "\".");
  return value;
}

Interval Pair(const std::string &text) {
  const size_t comma = text.find(',');
  const Interval pair = {Number(text.substr(0, comma)),
                         Number(comma == text.npos ? text : text.substr(comma + 1))};
  if (!(pair.low <= pair.high))
    Refuse("methods must have intervals (low, high) as options, got ", text, ".");
  return pair;
}

int Whole(const std::string &text, int low, int high) {
  const double value = Number(text);
  if (!(low <= value && value <= high && value == static_cast<int>(value)))
    Refuse("methods must have whole numbers from ", low, " to ", high, " here, got ", text, ".");
  return static_cast<int>(value);
}

template <typename T>
T Word(const std::string &text, const std::map<std::string, T> &words) {
  const auto at = words.find(text);
  if (at == words.end()) Refuse("methods have no option \"", text, "\".");
  return at->second;
}

void SetOption(Method &method, const std::string &name, const std::string &value) {
  const std::map<std::string, std::function<void()>> options = {
      {"place",
       [&] {
         method.place = Word<Place>(value, {{"center", Place::kCenter},
                                            {"inside", Place::kInside},
                                            {"uniform", Place::kUniform}});
       }},
      {"extent",
       [&] {
         method.extent = Word<Extents>(value, {{"space", Extents::kSpace},
                                               {"time", Extents::kTime},
                                               {"space-time", Extents::kSpaceTime}});
       }},
      {"shape", [&] { method.scattered = Word<bool>(value, {{"box", false}, {"patches", true}}); }},
      {"minmax", [&] { method.minmax = Pair(value); }},
      {"aspect", [&] { method.aspect = Pair(value); }},
      {"scope", [&] { method.scope = Pair(value); }},
      {"sigma", [&] { method.sigma = Pair(value); }},
      {"holes", [&] { method.holes = Pair(value); }},
      {"decay", [&] { method.decay = Number(value); }},
      {"boxes", [&] { method.boxes = Whole(value, 1, kMaxBoxes); }},
      {"images", [&] { method.images = Whole(value, 2, kMaxImages); }},
      {"patch", [&] {
         const Interval patch = Pair(value);
         method.patch_height = static_cast<int>(patch.low);
         method.patch_width = static_cast<int>(patch.high);
       }}};
  const auto option = options.find(name);
  if (option == options.end()) Refuse("methods have no option \"", name, "\".");
  option->second();
}

}  // namespace

Method ParseMethod(const std::string &text) {
  std::istringstream words(text);
  std::string word;
  words >> word;
  Method method;
  const std::map<std::string, Kind> kinds = {
      {"mixup", Kind::kMixUp},         {"cutmix", Kind::kCutMix},
      {"resizemix", Kind::kResizeMix}, {"patchmix", Kind::kPatchMix},
      {"gridmix", Kind::kGridMix},     {"fmix", Kind::kFMix},
      {"smoothmix", Kind::kSmoothMix}, {"multimix", Kind::kMultiMix},
      {"ricap", Kind::kRicap}};
  const auto kind = kinds.find(word);
  if (kind == kinds.end()) {
    std::string known;
    for (const auto &[name, _] : kinds) known += (known.empty() ? "\"" : ", \"") + name + "\"";
    Refuse("methods must be of ", known, ", got \"", word, "\".");
  }
  method.kind = kind->second;
  if (method.kind == Kind::kRicap) method.images = 4;
  if (method.kind == Kind::kMultiMix) method.images = 3;
  while (words >> word) {
    const size_t equals = word.find('=');
    if (equals == word.npos) Refuse("methods must have options name=value, got \"", word, "\".");
    SetOption(method, word.substr(0, equals), word.substr(equals + 1));
  }
  return method;
}

}  // namespace dali_mix
