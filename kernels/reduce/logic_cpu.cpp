#include "kernels/api/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/reduce/logic_cpu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/reduce/reduce_map-inl.h"
#include "kernels/reduce/reduce_parts.h"

HWY_BEFORE_NAMESPACE();
namespace taut::kernels {
namespace HWY_NAMESPACE {

// An element of any dtype is non-zero when its bits, less a float's sign, are: the ops of this file
// see unsigned words only.
template <class Word>
struct Any {
  using In = Word;
  using Acc = Word;
  Word mask;
  Word identity() const { return 0; }
  Word map(Word x) const { return static_cast<Word>(x & mask); }
  Word fold(Word a, Word b) const { return static_cast<Word>(a | b); }
};

template <class Word>
struct All {
  using In = Word;
  using Acc = Word;
  Word mask;
  Word identity() const { return 1; }
  Word map(Word x) const { return (x & mask) != 0; }
  Word fold(Word a, Word b) const { return static_cast<Word>(a & b); }
};

template <class Word>
struct CountNonzero {
  using In = Word;
  using Acc = int64_t;
  Word mask;
  int64_t identity() const { return 0; }
  int64_t map(Word x) const { return (x & mask) != 0; }
  int64_t fold(int64_t a, int64_t b) const { return a + b; }
};

template <class Body>
void visit_word(DType dtype, Body&& body) {
  const bool is_float = is_floating_point(dtype);
  const auto visit = [&]<class Word>(Word all_bits) {
    body(static_cast<Word>(is_float ? all_bits >> 1 : all_bits));
  };
  switch (item_size(dtype)) {
    case 1: return visit(uint8_t{0xff});
    case 2: return visit(uint16_t{0xffff});
    case 4: return visit(~uint32_t{0});
    default: return visit(~uint64_t{0});
  }
}

template <template <class> class Op, class Out>
void reduce_words(const ReduceArgs& args) {
  const ReducePlan plan = plan_reduction(args.shape, args.strides, args.reduced_dims);
  Out* out = static_cast<Out*>(args.output);
  visit_word(args.input_dtype, [&]<class Word>(Word mask) {
    using Acc = typename Op<Word>::Acc;
    reduce_loops(plan, args.input, Op<Word>{mask},
                 [out](const Acc* state, int64_t i) { out[i] = static_cast<Out>(*state); });
  });
}

void fill_logic(ReduceKernels& table) {
  table.any = reduce_words<Any, bool>;
  table.all = reduce_words<All, bool>;
  table.count_nonzero = reduce_words<CountNonzero, int64_t>;
}

}  // namespace HWY_NAMESPACE
}  // namespace taut::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace taut::kernels {

HWY_EXPORT(fill_logic);
void fill_logic_kernels(ReduceKernels& table) { HWY_DYNAMIC_DISPATCH(fill_logic)(table); }

}  // namespace taut::kernels
#endif
