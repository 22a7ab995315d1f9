// Reads methods and their options from text.
#include "draw/method.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <sstream>

#include "core/refuse.h"

namespace dali_mix {

namespace {

// The value of one option of a method.
class Option {
 public:
  Option(const std::string &method, const std::string &name, const std::string &text)
      : method_(method), name_(name), text_(text) {}

  // The number in a part of the text, which has commas between numbers.
  double Number(size_t from = 0, size_t length = std::string::npos) const {
    const std::string part = text_.substr(from, length);
    size_t used = 0;
    double value = 0;
    try {
      value = std::stod(part, &used);
    } catch (const std::exception &) {
    }
    if (used != part.size() || part.empty() || !std::isfinite(value)) {
      Fail("made of numbers");
    }
    return value;
  }

  double Between(double low, double high, const char *rule) const {
    const double value = Number();
    if (!(low <= value && value <= high)) {
      Fail(rule);
    }
    return value;
  }

  int Whole(int low, int high, const char *rule) const {
    const double value = Between(low, high, rule);
    if (value != static_cast<int>(value)) {
      Fail(rule);
    }
    return static_cast<int>(value);
  }

  // Two numbers, or one for both.
  Interval Pair(double low, double high, const char *rule) const {
    const size_t comma = text_.find(',');
    const double first = Number(0, comma);
    const Interval pair = {first, comma == text_.npos ? first : Number(comma + 1)};
    for (const double value : {pair.low, pair.high}) {
      if (!(low <= value && value <= high)) {
        Fail(rule);
      }
    }
    return pair;
  }

  Interval Ordered(double low, double high, const char *rule) const {
    const Interval pair = Pair(low, high, rule);
    if (pair.low > pair.high) {
      Fail(rule);
    }
    return pair;
  }

  Interval WholePair(int low, int high, const char *rule) const {
    const Interval pair = Pair(low, high, rule);
    if (pair.low != std::floor(pair.low) || pair.high != std::floor(pair.high)) {
      Fail(rule);
    }
    return pair;
  }

  std::vector<float> Numbers() const {
    std::vector<float> numbers;
    for (size_t from = 0; from <= text_.size();) {
      const size_t comma = std::min(text_.find(',', from), text_.size());
      numbers.push_back(static_cast<float>(Number(from, comma - from)));
      from = comma + 1;
    }
    return numbers;
  }

  template <typename T>
  T Word(const std::map<std::string, T> &words) const {
    std::string known;
    for (const auto &[word, value] : words) {
      if (word == text_) {
        return value;
      }
      known += (known.empty() ? "one of " : ", ") + word;
    }
    Fail(known.c_str());
  }

 private:
  [[noreturn]] void Fail(const char *rule) const {
    Refuse(name_, " of ", method_, " must be ", rule, ", got \"", text_, "\".");
  }

  const std::string &method_, &name_, &text_;
};

using Setter = std::function<void(Method &, const Option &)>;

void SetPlace(Method &method, const Option &option) {
  method.place = option.Word<BoxPlace>({{"center", BoxPlace::kCenter},
                                        {"inside", BoxPlace::kInside},
                                        {"uniform", BoxPlace::kUniform}});
}

void SetExtent(Method &method, const Option &option) {
  method.extent = option.Word<Extents>(
      {{"space", Extents::kSpace}, {"time", Extents::kTime}, {"space-time", Extents::kSpaceTime}});
}

void SetOverlap(Method &method, const Option &option) {
  method.overlap = option.Word<bool>({{"false", false}, {"true", true}});
}

void SetPatch(Method &method, const Option &option) {
  const Interval sides = option.WholePair(1, 1 << 20, "whole pixels, height and width");
  method.patch_height = static_cast<int>(sides.low);
  method.patch_width = static_cast<int>(sides.high);
}

void SetCanvas(Method &method, const Option &option) {
  const Interval sides = option.WholePair(1, 1 << 20, "whole pixels, height and width");
  method.canvas = {static_cast<int>(sides.low), static_cast<int>(sides.high)};
}

void SetHoles(Method &method, const Option &option) {
  const char *rule = "(low, high), whole numbers from 1 to 1000";
  option.WholePair(1, 1000, rule);
  method.holes = option.Ordered(1, 1000, rule);
}

// The setter of each option; the key is the name of the method and of the option.
const std::map<std::string, Setter> &Setters() {
  constexpr double kTiny = std::numeric_limits<double>::min();
  constexpr double kHuge = std::numeric_limits<double>::max();
  static const char *in_unit = "(low, high), at least 0 and at most 1";
  static const char *above = "(low, high), above 0";
  static const std::map<std::string, Setter> setters = {
      {"mixup uniform", [](Method &m, const Option &o) { m.uniform = o.Ordered(0, 1, in_unit); }},
      {"mixup overlap", SetOverlap},
      {"cutmix overlap", SetOverlap},
      {"cutmix place", SetPlace},
      {"cutmix extent", SetExtent},
      {"cutmix minmax",
       [](Method &m, const Option &o) {
         m.minmax = o.Ordered(kTiny, 1, "(low, high), above 0 and at most 1");
       }},
      {"cutmix aspect",
       [](Method &m, const Option &o) { m.aspect = o.Ordered(kTiny, kHuge, above); }},
      {"cutmix boxes",
       [](Method &m, const Option &o) {
         m.boxes = o.Whole(1, kMaxBoxes, "a whole number from 1 to 8");
       }},
      {"resizemix scope", [](Method &m, const Option &o) { m.scope = o.Ordered(0, 1, in_unit); }},
      {"patchmix patch", SetPatch},
      {"patchmix place", SetPlace},
      {"patchmix shape",
       [](Method &m, const Option &o) {
         m.scattered = o.Word<bool>({{"box", false}, {"patches", true}});
       }},
      {"gridmix holes", SetHoles},
      {"fmix decay",
       [](Method &m, const Option &o) { m.decay = o.Between(1.5, 20, "in [1.5, 20]"); }},
      {"smoothmix sigma",
       [](Method &m, const Option &o) { m.sigma = o.Ordered(kTiny, kHuge, above); }},
      {"mosaic canvas", SetCanvas},
      {"mosaic cropped",
       [](Method &m, const Option &o) {
         m.cropped = o.Word<bool>({{"false", false}, {"true", true}});
       }},
      {"mosaic fill", [](Method &m, const Option &o) { m.fill = o.Numbers(); }},
      {"multimix images", [](Method &m, const Option &o) {
         m.images = o.Whole(2, kMaxImages, "a whole number from 2 to 8");
       }}};
  return setters;
}

void SetOption(Method &method, const std::string &kind, const std::string &name,
               const std::string &value) {
  const auto setter = Setters().find(kind + " " + name);
  if (setter == Setters().end()) {
    Refuse(kind, " has no option \"", name, "\".");
  }
  setter->second(method, Option(kind, name, value));
}

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
      {"ricap", Kind::kRicap},         {"mosaic", Kind::kMosaic}};
  const auto kind = kinds.find(word);
  if (kind == kinds.end()) {
    std::string known;
    for (const auto &[name, _] : kinds) {
      known += (known.empty() ? "\"" : ", \"") + name + "\"";
    }
    Refuse("methods must be of ", known, ", got \"", word, "\".");
  }
  method.kind = kind->second;
  if (method.kind == Kind::kRicap || method.kind == Kind::kMosaic) {
    method.images = 4;
  }
  if (method.kind == Kind::kMultiMix) {
    method.images = 3;
  }
  while (words >> word) {
    const size_t equals = word.find('=');
    if (equals == word.npos) {
      Refuse("methods must have options name=value, got \"", word, "\".");
    }
    SetOption(method, kind->first, word.substr(0, equals), word.substr(equals + 1));
  }
  return method;
}

}  // namespace

std::vector<Method> ParseMethods(const std::vector<std::string> &lines) {
  std::vector<Method> methods;
  for (const std::string &line : lines) {
    methods.push_back(ParseMethod(line));
  }
  if (methods.empty()) {
    Refuse("methods must name at least one method, got none.");
  }
  return methods;
}

FurtherColumns FurtherColumnsOf(const std::vector<Method> &methods) {
  FurtherColumns columns = {};
  for (const Method &method : methods) {
    columns.offset |= method.kind == Kind::kRicap || method.NeedsSizes();
    columns.box_blend |= method.kind == Kind::kMixUp && method.overlap;
    columns.fit |= method.kind == Kind::kResizeMix;
    columns.frames |= method.DrawsFrames();
    columns.mask |= method.DrawsMask();
    columns.fill |= method.HasCanvas();
  }
  return columns;
}

}  // namespace dali_mix
