// Whether any or all elements are non-zero, and how many are.
//
// An element of any dtype is non-zero when its bits, less a float's sign, are: only unsigned words
// are seen here.

#include "kernels/reduce/reduce_cuda.h"
#include "kernels/reduce/reduce_launch_cuda.cuh"

namespace taut::kernels::cuda {
namespace {

template <class Word>
struct WordReducer {
  using In = Word;
  using Value = Word;
  static constexpr int kPack = 8;
  static constexpr int kInFlight = 4;

  void* output;
  Word mask;

  __device__ bool is_nonzero(Word x) const { return (x & mask) != 0; }
};

template <class Word>
struct Any : WordReducer<Word> {
  using State = uint32_t;

  __device__ State identity(Word) const { return 0; }
  __device__ void add(State& any, Word x, int64_t) const { any |= this->is_nonzero(x) ? 1u : 0u; }
  __device__ State merge(State a, State b) const { return a | b; }
  __device__ void finish(State any, int64_t at) const {
    static_cast<bool*>(this->output)[at] = any != 0;
  }
};

template <class Word>
struct All : WordReducer<Word> {
  using State = uint32_t;

  __device__ State identity(Word) const { return 1; }
  __device__ void add(State& all, Word x, int64_t) const { all &= this->is_nonzero(x) ? 1u : 0u; }
  __device__ State merge(State a, State b) const { return a & b; }
  __device__ void finish(State all, int64_t at) const {
    static_cast<bool*>(this->output)[at] = all != 0;
  }
};

template <class Word>
struct CountNonzero : WordReducer<Word> {
  using State = int64_t;

  __device__ State identity(Word) const { return 0; }
  __device__ void add(State& count, Word x, int64_t) const { count += this->is_nonzero(x) ? 1 : 0; }
  __device__ State merge(State a, State b) const { return a + b; }
  __device__ void finish(State count, int64_t at) const {
    static_cast<int64_t*>(this->output)[at] = count;
  }
};

template <template <class> class Op>
void reduce_words(const char* op, const ReduceArgs& args) {
  const ReducePlan plan = plan_reduction(args.shape, args.strides, args.reduced_dims);
  visit_width(args.input_dtype, [&]<class Word>(TypeTag<Word>) {
    const Word all_bits = static_cast<Word>(~Word(0));
    const Word mask =
        is_floating_point(args.input_dtype) ? static_cast<Word>(all_bits >> 1) : all_bits;
    Op<Word> reducer;
    reducer.output = args.output;
    reducer.mask = mask;
    run_reduction(op, plan, args.input, reducer);
  });
}

void any(const ReduceArgs& args) { reduce_words<Any>("any", args); }
void all(const ReduceArgs& args) { reduce_words<All>("all", args); }
void count_nonzero(const ReduceArgs& args) { reduce_words<CountNonzero>("count_nonzero", args); }

}  // namespace

void fill_logic_launches(ReduceKernels& table) {
  table.any = any;
  table.all = all;
  table.count_nonzero = count_nonzero;
}

}  // namespace taut::kernels::cuda
