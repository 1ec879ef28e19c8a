// The gradient of an embedding: the rows of grad_output are sorted by the row of the weight that
// they belong to (a stable counting sort), then each row of the weight is summed by one thread.

#include <cstring>

#include "kernels/api/visit_dtype.h"
#include "kernels/index/index_kernels.h"
#include "kernels/index/index_walk.h"

namespace taut::kernels::index_cpu {
namespace {

// The positions of each index value, in their order: those of v are order[first[v]..first[v + 1]).
struct Buckets {
  std::unique_ptr<int64_t[]> first;
  std::unique_ptr<int64_t[]> order;
};

template <class I>
IndexResult sort_into_buckets(const EmbeddingBackwardArgs& args, Buckets& buckets) {
  const I* index = static_cast<const I*>(args.index);
  buckets.first.reset(new int64_t[static_cast<size_t>(args.rows + 2)]());
  buckets.order.reset(new int64_t[static_cast<size_t>(args.count)]);
  int64_t* next = buckets.first.get() + 1;  // ends up as the start of each bucket's successor
  for (int64_t i = 0; i < args.count; ++i) {
    if (index[i] < 0 || index[i] >= args.rows) return {false, index[i], args.rows, i, 0};
    ++next[index[i] + 1];
  }
  for (int64_t v = 0; v < args.rows; ++v) next[v + 1] += next[v];
  for (int64_t i = 0; i < args.count; ++i) buckets.order[static_cast<size_t>(next[index[i]]++)] = i;
  return {};
}

template <class T>
void sum_row(const EmbeddingBackwardArgs& args, const int64_t* begin, const int64_t* end,
             compute_t<T>* sum, T* row) {
  using C = compute_t<T>;
  const int64_t width = args.width;
  const T* grads = static_cast<const T*>(args.grad_output);
  const T* first = grads + *begin * width;
  for (int64_t j = 0; j < width; ++j) sum[j] = static_cast<C>(first[j]);
  for (const int64_t* i = begin + 1; i < end; ++i) {
    const T* grad = grads + *i * width;
    for (int64_t j = 0; j < width; ++j) sum[j] += static_cast<C>(grad[j]);
  }
  const C scale = args.scale_grad_by_freq ? C(1) / static_cast<C>(end - begin) : C(1);
  for (int64_t j = 0; j < width; ++j) row[j] = static_cast<T>(sum[j] * scale);
}

template <class T>
void sum_buckets(const EmbeddingBackwardArgs& args, const Buckets& buckets) {
  using C = compute_t<T>;
  T* weight = static_cast<T*>(args.grad_weight);
  const int64_t each =
      std::max<int64_t>(1, args.width * (1 + args.count / std::max<int64_t>(1, args.rows)));
  parallel_for(
      args.rows, std::max<int64_t>(1, kIndexGrain / each), [&](int64_t begin, int64_t end) {
        const std::unique_ptr<C[]> sum(new C[static_cast<size_t>(args.width)]);
        for (int64_t v = begin; v < end; ++v) {
          const int64_t* from = buckets.order.get() + buckets.first[static_cast<size_t>(v)];
          const int64_t* to = buckets.order.get() + buckets.first[static_cast<size_t>(v + 1)];
          T* row = weight + v * args.width;
          if (from == to || v == args.padding_idx) {
            std::memset(static_cast<void*>(row), 0, static_cast<size_t>(args.width) * sizeof(T));
          } else {
            sum_row<T>(args, from, to, sum.get(), row);
          }
        }
      });
}

}  // namespace

IndexResult embedding_backward(const EmbeddingBackwardArgs& args) {
  Buckets buckets;
  const IndexResult result = args.index_dtype == DType::int32
                                 ? sort_into_buckets<int32_t>(args, buckets)
                                 : sort_into_buckets<int64_t>(args, buckets);
  if (!result.ok) return result;
  visit_dtype(Floating{}, args.dtype, "embedding_backward",
              [&]<class T>(Tag<T>) { sum_buckets<T>(args, buckets); });
  return {};
}

}  // namespace taut::kernels::index_cpu
