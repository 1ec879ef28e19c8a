#include "src/fusion/sources.h"

#include <algorithm>
#include <iterator>
#include <string_view>

#include "fusion_sources.h"
#include "taut/base/check.h"

namespace taut::fusion {
namespace {

// Lines that only the library's own build has a use for: its headers come one behind the other
// here.
bool is_dropped(std::string_view line) {
  return line.starts_with("#include \"") || line.starts_with("#include <") ||
         line.starts_with("#pragma once") || line.starts_with("//");
}

void append(std::string& text, std::string_view source) {
  while (!source.empty()) {
    const size_t end = std::min(source.find('\n'), source.size() - 1);
    const std::string_view line = source.substr(0, end + 1);
    if (!is_dropped(line)) text += line;
    source.remove_prefix(end + 1);
  }
}

struct Theme {
  std::string_view text;
  bool is_special;  // needs kernels/elementwise/special_math.h
};

constexpr Theme kThemes[] = {
    {sources::kActivation, false}, {sources::kArithmetic, false},  {sources::kBitwise, false},
    {sources::kCompare, false},    {sources::kExponential, false}, {sources::kLoss, false},
    {sources::kRounding, false},   {sources::kSpecial, true},      {sources::kTrigonometry, false},
};

size_t theme_of(kernels::Pointwise op) {
  const std::string declaration = concat("struct ", functor_struct(op), " :");
  for (size_t i = 0; i < std::size(kThemes); ++i) {
    if (kThemes[i].text.find(declaration) != std::string_view::npos) return i;
  }
  TAUT_ASSERT(false);
  return 0;
}

}  // namespace

const char* functor_struct(kernels::Pointwise op) {
  static constexpr const char* kNames[] = {
#define TAUT_UNARY(name, Functor) #Functor,
#define TAUT_ACTIVATION(name, Functor) #Functor,
#define TAUT_PREDICATE(name, Functor) #Functor,
#define TAUT_BINARY(name, Functor) #Functor,
#define TAUT_COMPARE(name, Functor) #Functor,
#define TAUT_PARAMETRIC(name, Functor) #Functor,
#include "taut/ops/lists/activation.def"
#include "taut/ops/lists/arithmetic.def"
#include "taut/ops/lists/compare.def"
#include "taut/ops/lists/math.def"
#include "taut/ops/lists/parametric.def"
#include "taut/ops/lists/predicate.def"
#undef TAUT_UNARY
#undef TAUT_ACTIVATION
#undef TAUT_PREDICATE
#undef TAUT_BINARY
#undef TAUT_COMPARE
#undef TAUT_PARAMETRIC
  };
  static_assert(std::size(kNames) == kernels::kPointwiseCount);
  return kNames[static_cast<size_t>(op)];
}

std::string prelude(const std::set<kernels::Pointwise>& ops) {
  std::set<size_t> themes;
  for (const kernels::Pointwise op : ops) themes.insert(theme_of(op));
  std::string text;
  append(text, sources::kDeviceStd);
  append(text, sources::kMacros);
  append(text, sources::kFunctor);
  append(text, sources::kScalarMath);
  append(text, sources::kDevice);
  append(text, sources::kQuickGelu);
  for (const size_t theme : themes) {
    if (kThemes[theme].is_special) append(text, sources::kSpecialMath);
  }
  text += "namespace taut::kernels {\n";
  for (const size_t theme : themes) append(text, kThemes[theme].text);
  text += "}\n";
  return text;
}

}  // namespace taut::fusion
