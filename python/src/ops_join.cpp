// The rows of joins, products and random tensors.

#include "op_rows.h"
#include "taut/core/generator.h"
#include "taut/core/scalar_range.h"
#include "taut/nn/functional/softmax.h"
#include "taut/ops/indexing.h"
#include "taut/ops/join.h"
#include "taut/ops/matmul.h"
#include "taut/ops/random.h"
#include "taut/ops/sort.h"

namespace py = pybind11;

namespace taut::python {
namespace {

/// What PyTorch's two ways of saying it come to.
bool is_right(const std::optional<std::string_view>& side, bool right) {
  if (!side) return right;
  TAUT_CHECK(*side == "left" || *side == "right", ValueError,
             "searchsorted: side must be 'left' or 'right'; got '", *side, "'");
  TAUT_CHECK(!right || *side == "right", ValueError,
             "searchsorted: side is 'left', and right is True");
  return *side == "right";
}

/// scatter calls them add and multiply, scatter_reduce sum and prod.
std::string_view reduction_word(std::string_view word) {
  if (word == "add") return "sum";
  TAUT_CHECK(word == "multiply", ValueError, "scatter: reduce must be 'add' or 'multiply'; got '",
             word, "'");
  return "prod";
}

struct TensorOrTensors {
  Tensor tensor;
  Tensors tensors;
  bool is_tuple;
};
PyObject* to_python(TensorOrTensors&& result, const Overload& overload) {
  return result.is_tuple ? to_python(result.tensors, overload) : wrap(std::move(result.tensor));
}

struct UniqueResult {
  std::tuple<Tensor, Tensor, Tensor> parts;
  bool inverse;
  bool counts;
};
PyObject* to_python(UniqueResult&& result, const Overload& overload);

}  // namespace

template <>
struct ResultName<UniqueResult> {
  static std::string get() { return "Any"; }
};
template <>
struct ResultName<TensorOrTensors> {
  static std::string get() { return "Any"; }
};

void add_join_rows(Rows& rows) {
  rows.function("cat(tensors, dim=0)", fn<Tensor(TensorList, int64_t)>(cat));
  rows.alias("concat", "cat");
  rows.alias("concatenate", "cat");
  rows.function("stack(tensors, dim=0)", fn<Tensor(TensorList, int64_t)>(stack));
  rows.function("hstack(tensors)", fn<Tensor(TensorList)>(hstack));
  rows.function("vstack(tensors)", fn<Tensor(TensorList)>(vstack));
  rows.alias("row_stack", "vstack");
  rows.function("dstack(tensors)", fn<Tensor(TensorList)>(dstack));
  rows.function("column_stack(tensors)", fn<Tensor(TensorList)>(column_stack));
  rows.function("block_diag(*tensors)", fn<Tensor(TensorList)>(block_diag));
  rows.method("repeat(input, *repeats)", fn<Tensor(T, D)>(repeat));
  rows.function("tile(input, dims)", fn<Tensor(T, D)>(tile));
  rows.method("tile(input, *dims)", fn<Tensor(T, D)>(tile));
  rows.both("repeat_interleave(input, repeats, dim=None)",
            fn<Tensor(T, int64_t, DimOpt)>(repeat_interleave));
  rows.function("flip(input, dims)", fn<Tensor(T, D)>(flip));
  rows.method("flip(input, *dims)", fn<Tensor(T, D)>(flip));
  rows.both("fliplr(input)", fn<Tensor(T)>(fliplr));
  rows.both("flipud(input)", fn<Tensor(T)>(flipud));
  rows.both("roll(input, shifts, dims=None)", fn<Tensor(T, D, D)>(roll));
  rows.both("rot90(input, k=1, dims=(0, 1))", fn<Tensor(T, int64_t, D)>(rot90));
  rows.both("tril(input, diagonal=0)", fn<Tensor(T, int64_t)>(tril));
  rows.both("triu(input, diagonal=0)", fn<Tensor(T, int64_t)>(triu));
  rows.both("diag(input, diagonal=0)", fn<Tensor(T, int64_t)>(diag));
  rows.both("diagflat(input, offset=0)", fn<Tensor(T, int64_t)>(diagflat));
  rows.both("diag_embed(input, offset=0, dim1=-2, dim2=-1)",
            fn<Tensor(T, int64_t, int64_t, int64_t)>(diag_embed));
  rows.both("trace(input)", fn<Tensor(T)>(trace));
  rows.function("tril_indices(row, col, offset=0, *, dtype=None, device=None)",
                [](int64_t row, int64_t col, int64_t offset, DTypeOpt dtype, DeviceOpt device) {
                  return to(tril_indices(row, col, offset),
                            make_options(dtype.value_or(kInt64), device));
                });
  rows.function("triu_indices(row, col, offset=0, *, dtype=None, device=None)",
                [](int64_t row, int64_t col, int64_t offset, DTypeOpt dtype, DeviceOpt device) {
                  return to(triu_indices(row, col, offset),
                            make_options(dtype.value_or(kInt64), device));
                });
  rows.function("meshgrid(*tensors, indexing='ij')",
                fn<Tensors(TensorList, std::string_view)>(meshgrid));
  rows.function("cartesian_prod(*tensors)", fn<Tensor(TensorList)>(cartesian_prod));
  rows.both("slice_scatter(input, src, dim=0, start=None, end=None, step=1)",
            fn<Tensor(T, T, int64_t, DimOpt, DimOpt, int64_t)>(slice_scatter));
  rows.both("select_scatter(input, src, dim, index)",
            fn<Tensor(T, T, int64_t, int64_t)>(select_scatter));
  rows.both("diagonal_scatter(input, src, offset=0, dim1=0, dim2=1)",
            fn<Tensor(T, T, int64_t, int64_t, int64_t)>(diagonal_scatter));
  rows.function("constant_pad_nd(input, pad, value=0)",
                fn<Tensor(T, const std::vector<int64_t>&, S)>(constant_pad_nd));
}

void add_index_rows(Rows& rows) {
  rows.both("gather(input, dim, index, *, sparse_grad=False)",
            [](T x, int64_t dim, T index, bool) { return gather(x, dim, index); });
  rows.both("scatter(input, dim, index, src)", fn<Tensor(T, int64_t, T, T)>(scatter));
  rows.both("scatter(input, dim, index, value)", fn<Tensor(T, int64_t, T, S)>(scatter));
  rows.both("scatter(input, dim, index, src, *, reduce)",
            [](T x, int64_t dim, T index, T src, std::string_view reduce) {
              return scatter_reduce(x, dim, index, src, reduction_word(reduce));
            });
  rows.method("scatter_(input, dim, index, src)", fn<const Tensor&(T, int64_t, T, T)>(scatter_));
  rows.method("scatter_(input, dim, index, value)", fn<const Tensor&(T, int64_t, T, S)>(scatter_));
  rows.method("scatter_(input, dim, index, src, *, reduce)",
              [](T x, int64_t dim, T index, T src, std::string_view reduce) -> const Tensor& {
                return scatter_reduce_(x, dim, index, src, reduction_word(reduce));
              });
  rows.both("scatter_add(input, dim, index, src)", fn<Tensor(T, int64_t, T, T)>(scatter_add));
  rows.method("scatter_add_(input, dim, index, src)",
              fn<const Tensor&(T, int64_t, T, T)>(scatter_add_));
  rows.both("scatter_reduce(input, dim, index, src, reduce, *, include_self=True)",
            fn<Tensor(T, int64_t, T, T, std::string_view, bool)>(scatter_reduce));
  rows.method("scatter_reduce_(input, dim, index, src, reduce, *, include_self=True)",
              fn<const Tensor&(T, int64_t, T, T, std::string_view, bool)>(scatter_reduce_));
  rows.both("index_select(input, dim, index)", fn<Tensor(T, int64_t, T)>(index_select));
  rows.both("index_add(input, dim, index, source, *, alpha=1)",
            fn<Tensor(T, int64_t, T, T, S)>(index_add));
  rows.method("index_add_(input, dim, index, source, *, alpha=1)",
              fn<const Tensor&(T, int64_t, T, T, S)>(index_add_));
  rows.both("index_copy(input, dim, index, source)", fn<Tensor(T, int64_t, T, T)>(index_copy));
  rows.method("index_copy_(input, dim, index, source)",
              fn<const Tensor&(T, int64_t, T, T)>(index_copy_));
  rows.both("index_fill(input, dim, index, value)", fn<Tensor(T, int64_t, T, S)>(index_fill));
  rows.method("index_fill_(input, dim, index, value)",
              fn<const Tensor&(T, int64_t, T, S)>(index_fill_));
  const auto as_indices = [](const std::vector<std::optional<Tensor>>& indices) {
    std::vector<TensorIndex> result;
    for (const auto& index : indices) {
      if (index) {
        result.emplace_back(*index);
      } else {
        result.emplace_back(indexing::Slice());
      }
    }
    return result;
  };
  static const auto indices_of = as_indices;
  using Indices = const std::vector<std::optional<Tensor>>&;
  rows.both("index_put(input, indices, values, accumulate=False)",
            [](T x, Indices indices, T values, bool accumulate) {
              return index_put(x, indices_of(indices), values, accumulate);
            });
  rows.both("index_put_(input, indices, values, accumulate=False)",
            [](T x, Indices indices, T values, bool accumulate) -> const Tensor& {
              return index_put_(x, indices_of(indices), values, accumulate);
            });
  rows.both("take(input, index)", fn<Tensor(T, T)>(take));
  rows.both("take_along_dim(input, indices, dim=None)", fn<Tensor(T, T, DimOpt)>(take_along_dim));
  rows.both("masked_select(input, mask)", fn<Tensor(T, T)>(masked_select));
  rows.both("masked_scatter(input, mask, source)", fn<Tensor(T, T, T)>(masked_scatter));
  rows.method("masked_scatter_(input, mask, source)", fn<const Tensor&(T, T, T)>(masked_scatter_));
  rows.both("nonzero(input, *, as_tuple=False)", [](T x, bool as_tuple) -> TensorOrTensors {
    if (as_tuple) return {{}, nonzero_as_tuple(x), true};
    return {nonzero(x), {}, false};
  });
  rows.both("argwhere(input)", fn<Tensor(T)>(argwhere));
  rows.function("where(condition)", fn<Tensors(T)>(nonzero_as_tuple));
}

void add_matmul_rows(Rows& rows) {
  rows.both("matmul(input, other)", fn<Tensor(T, T)>(matmul));
  rows.both("mm(input, mat2)", fn<Tensor(T, T)>(mm));
  rows.both("bmm(input, mat2)", fn<Tensor(T, T)>(bmm));
  rows.both("mv(input, vec)", fn<Tensor(T, T)>(mv));
  rows.both("dot(input, other)", fn<Tensor(T, T)>(dot));
  rows.both("vdot(input, other)", fn<Tensor(T, T)>(vdot));
  rows.both("inner(input, other)", fn<Tensor(T, T)>(inner));
  rows.both("outer(input, vec2)", fn<Tensor(T, T)>(outer));
  rows.both("ger(input, vec2)", fn<Tensor(T, T)>(ger));
  rows.both("addmm(input, mat1, mat2, *, beta=1, alpha=1)", fn<Tensor(T, T, T, S, S)>(addmm));
  rows.both("addmv(input, mat, vec, *, beta=1, alpha=1)", fn<Tensor(T, T, T, S, S)>(addmv));
  rows.both("addr(input, vec1, vec2, *, beta=1, alpha=1)", fn<Tensor(T, T, T, S, S)>(addr));
  rows.both("baddbmm(input, batch1, batch2, *, beta=1, alpha=1)",
            fn<Tensor(T, T, T, S, S)>(baddbmm));
  rows.both("addbmm(input, batch1, batch2, *, beta=1, alpha=1)", fn<Tensor(T, T, T, S, S)>(addbmm));
  rows.function("einsum(equation, *operands)", fn<Tensor(std::string_view, TensorList)>(einsum));
  rows.function("tensordot(a, b, dims=2)", fn<Tensor(T, T, int64_t)>(tensordot));
  rows.function("tensordot(a, b, dims)", [](T a, T b, const std::vector<Dims>& dims) {
    TAUT_CHECK(dims.size() == 2, ValueError,
               "tensordot: dims lists those of a and those of b; got ", dims.size(), " lists");
    return tensordot(a, b, dims[0], dims[1]);
  });
  rows.both("kron(input, other)", fn<Tensor(T, T)>(kron));
  rows.both("softmax(input, dim, dtype=None)", fn<Tensor(T, int64_t, DTypeOpt)>(softmax));
  rows.both("log_softmax(input, dim, dtype=None)", fn<Tensor(T, int64_t, DTypeOpt)>(log_softmax));
}

namespace {
/// The parts of (output, inverse, counts) that were asked for, as PyTorch returns them.
PyObject* to_python(UniqueResult&& result, const Overload& overload) {
  Tensors parts = {std::get<0>(result.parts)};
  if (result.inverse) parts.push_back(std::get<1>(result.parts));
  if (result.counts) parts.push_back(std::get<2>(result.parts));
  return parts.size() == 1 ? wrap(parts[0]) : to_python(parts, overload);
}
}  // namespace

void add_sort_rows(Rows& rows) {
  using Pair = std::pair<Tensor, Tensor>;
#define TAUT_PARTS " -> (values, indices)"
  rows.both("sort(input, dim=-1, descending=False, stable=False)" TAUT_PARTS,
            [](T x, int64_t dim, bool descending, bool) { return sort(x, dim, descending); });
  rows.both("sort(input, *, stable=False, dim=-1, descending=False)" TAUT_PARTS,
            [](T x, std::optional<bool>, int64_t dim, bool descending) {
              return sort(x, dim, descending);
            });
  rows.both("argsort(input, dim=-1, descending=False, stable=False)",
            [](T x, int64_t dim, bool descending, bool) { return argsort(x, dim, descending); });
  rows.both("msort(input)", fn<Tensor(T)>(msort));
  rows.both("topk(input, k, dim=-1, largest=True, sorted=True)" TAUT_PARTS,
            fn<Pair(T, int64_t, int64_t, bool, bool)>(topk));
  rows.both("kthvalue(input, k, dim=-1, keepdim=False)" TAUT_PARTS,
            fn<Pair(T, int64_t, int64_t, bool)>(kthvalue));
  rows.both("median(input)", fn<Tensor(T)>(median));
  rows.both("median(input, dim, keepdim=False)" TAUT_PARTS, fn<Pair(T, int64_t, bool)>(median));
  rows.both("nanmedian(input)", fn<Tensor(T)>(nanmedian));
  rows.both("nanmedian(input, dim, keepdim=False)" TAUT_PARTS,
            fn<Pair(T, int64_t, bool)>(nanmedian));
  rows.both("mode(input, dim=-1, keepdim=False)" TAUT_PARTS, fn<Pair(T, int64_t, bool)>(mode));
  rows.both("cummax(input, dim)" TAUT_PARTS, fn<Pair(T, int64_t)>(cummax));
  rows.both("cummin(input, dim)" TAUT_PARTS, fn<Pair(T, int64_t)>(cummin));
#undef TAUT_PARTS
  rows.function(
      "searchsorted(sorted_sequence, values, *, out_int32=False, right=False, side=None)",
      [](T sequence, T values, bool out_int32, bool right, std::optional<std::string_view> side) {
        return searchsorted(sequence, values, out_int32, is_right(side, right));
      });
  rows.function(
      "searchsorted(sorted_sequence, values, *, out_int32=False, right=False, side=None)",
      [](T sequence, S value, bool out_int32, bool right, std::optional<std::string_view> side) {
        const DType dtype = result_type(sequence, value);
        const Tensor values = full({}, value, can_hold(dtype, value) ? dtype : value.dtype());
        return searchsorted(sequence, values.to(sequence.device()), out_int32,
                            is_right(side, right));
      });
  rows.function("bucketize(input, boundaries, *, out_int32=False, right=False)",
                fn<Tensor(T, T, bool, bool)>(bucketize));
  rows.both("unique(input, sorted=True, return_inverse=False, return_counts=False, dim=None)",
            [](T x, bool sorted, bool inverse, bool counts, DimOpt dim) {
              return UniqueResult{unique(x, sorted, inverse, counts, dim), inverse, counts};
            });
  rows.both("unique_consecutive(input, return_inverse=False, return_counts=False, dim=None)",
            [](T x, bool inverse, bool counts, DimOpt dim) {
              return UniqueResult{unique_consecutive(x, inverse, counts, dim), inverse, counts};
            });
  rows.both("bincount(input, weights=None, minlength=0)", fn<Tensor(T, T, int64_t)>(bincount));
  rows.both("histc(input, bins=100, min=0.0, max=0.0)",
            fn<Tensor(T, int64_t, double, double)>(histc));
  rows.function(
      "isin(elements, test_elements, *, assume_unique=False, invert=False)",
      [](T elements, T tests, bool, bool invert) { return isin(elements, tests, invert); });
  rows.function("isin(elements, test_element, *, assume_unique=False, invert=False)",
                [](T elements, S test, bool, bool invert) {
                  return invert ? ne(elements, test) : eq(elements, test);
                });
  rows.both("cumsum(input, dim, *, dtype=None)", fn<Tensor(T, int64_t, DTypeOpt)>(cumsum));
  rows.both("cumprod(input, dim, *, dtype=None)", fn<Tensor(T, int64_t, DTypeOpt)>(cumprod));
  rows.both("logcumsumexp(input, dim)", fn<Tensor(T, int64_t)>(logcumsumexp));
  rows.both("diff(input, n=1, dim=-1)", fn<Tensor(T, int64_t, int64_t)>(diff));
  rows.function("trapezoid(y, x, *, dim=-1)", fn<Tensor(T, T, int64_t)>(trapezoid));
  rows.function("trapezoid(y, *, dx=1.0, dim=-1)", fn<Tensor(T, double, int64_t)>(trapezoid));
  rows.alias("trapz", "trapezoid");
  rows.function("cumulative_trapezoid(y, *, dx=1.0, dim=-1)",
                fn<Tensor(T, double, int64_t)>(cumulative_trapezoid));
  rows.both("cross(input, other, dim=-1)", fn<Tensor(T, T, int64_t)>(cross));
  rows.both("multinomial(input, num_samples, replacement=False, *, generator=None)",
            fn<Tensor(T, int64_t, bool, Generator*)>(multinomial));
}

void add_random_rows(Rows& rows) {
#define TAUT_RANDOM_OPTIONS "*, generator=None, dtype=None, device=None, requires_grad=False)"
#define TAUT_RANDOM_ARGUMENTS \
  Generator *generator, DTypeOpt dtype, DeviceOpt device, bool requires_grad
#define TAUT_RANDOM_MADE make_options(dtype, device, requires_grad), generator
  rows.function("rand(*size, " TAUT_RANDOM_OPTIONS,
                [](D size, TAUT_RANDOM_ARGUMENTS) { return rand(size, TAUT_RANDOM_MADE); });
  rows.function("randn(*size, " TAUT_RANDOM_OPTIONS,
                [](D size, TAUT_RANDOM_ARGUMENTS) { return randn(size, TAUT_RANDOM_MADE); });
  rows.function("randint(low, high, size, " TAUT_RANDOM_OPTIONS,
                [](int64_t low, int64_t high, D size, TAUT_RANDOM_ARGUMENTS) {
                  return randint(low, high, size, TAUT_RANDOM_MADE);
                });
  rows.function("randint(high, size, " TAUT_RANDOM_OPTIONS,
                [](int64_t high, D size, TAUT_RANDOM_ARGUMENTS) {
                  return randint(0, high, size, TAUT_RANDOM_MADE);
                });
  rows.function("randperm(n, " TAUT_RANDOM_OPTIONS,
                [](int64_t n, TAUT_RANDOM_ARGUMENTS) { return randperm(n, TAUT_RANDOM_MADE); });
#undef TAUT_RANDOM_OPTIONS
#undef TAUT_RANDOM_ARGUMENTS
#undef TAUT_RANDOM_MADE
#define TAUT_LIKE_OPTIONS "*, dtype=None, device=None, requires_grad=False)"
  rows.function("rand_like(input, " TAUT_LIKE_OPTIONS,
                [](T x, DTypeOpt dtype, DeviceOpt device, bool requires_grad) {
                  return rand_like(x, make_options(dtype, device, requires_grad));
                });
  rows.function("randn_like(input, " TAUT_LIKE_OPTIONS,
                [](T x, DTypeOpt dtype, DeviceOpt device, bool requires_grad) {
                  return randn_like(x, make_options(dtype, device, requires_grad));
                });
  rows.function(
      "randint_like(input, low, high, " TAUT_LIKE_OPTIONS,
      [](T x, int64_t low, int64_t high, DTypeOpt dtype, DeviceOpt device, bool requires_grad) {
        return randint_like(x, low, high, make_options(dtype, device, requires_grad));
      });
  rows.function("randint_like(input, high, " TAUT_LIKE_OPTIONS,
                [](T x, int64_t high, DTypeOpt dtype, DeviceOpt device, bool requires_grad) {
                  return randint_like(x, 0, high, make_options(dtype, device, requires_grad));
                });
#undef TAUT_LIKE_OPTIONS
  using G = Generator*;
  rows.function("normal(mean, std, *, generator=None)",
                [](T mean, T std, G generator) { return normal(mean, std, generator); });
  rows.function("normal(mean, std=1.0, *, generator=None)", [](T mean, double std, G generator) {
    return normal(mean, full_like(mean, std), generator);
  });
  rows.function("normal(mean, std, *, generator=None)", [](double mean, T std, G generator) {
    return normal(full_like(std, mean), std, generator);
  });
  rows.function("normal(mean, std, size, *, generator=None, dtype=None, device=None)",
                [](double mean, double std, D size, G generator, DTypeOpt dtype, DeviceOpt device) {
                  return normal(mean, std, size, make_options(dtype, device), generator);
                });
  rows.both("bernoulli(input, *, generator=None)",
            [](T x, G generator) { return bernoulli(x, generator); });
  rows.both("bernoulli(input, p, *, generator=None)",
            [](T x, double p, G generator) { return bernoulli(x, p, generator); });
#define TAUT_FILL(name, a, b, signature)                                                   \
  rows.method(#name signature, [](T x, double a, double b, G generator) -> const Tensor& { \
    return name(x, a, b, generator);                                                       \
  });
  TAUT_FILL(uniform_, from, to, "(input, from=0.0, to=1.0, *, generator=None)")
  TAUT_FILL(normal_, mean, std, "(input, mean=0.0, std=1.0, *, generator=None)")
  TAUT_FILL(cauchy_, median, sigma, "(input, median=0.0, sigma=1.0, *, generator=None)")
  TAUT_FILL(log_normal_, mean, std, "(input, mean=1.0, std=2.0, *, generator=None)")
#undef TAUT_FILL
  rows.method(
      "bernoulli_(input, p=0.5, *, generator=None)",
      [](T x, double p, G generator) -> const Tensor& { return bernoulli_(x, p, generator); });
  rows.method("exponential_(input, lambd=1.0, *, generator=None)",
              [](T x, double lambd, G generator) -> const Tensor& {
                return exponential_(x, lambd, generator);
              });
  rows.method(
      "geometric_(input, p, *, generator=None)",
      [](T x, double p, G generator) -> const Tensor& { return geometric_(x, p, generator); });
  rows.method("random_(input, *, generator=None)",
              [](T x, G generator) -> const Tensor& { return random_(x, generator); });
  rows.method("random_(input, from, to, *, generator=None)",
              [](T x, int64_t low, DimOpt high, G generator) -> const Tensor& {
                return random_(x, low, high, generator);
              });
  rows.method("random_(input, to, *, generator=None)",
              [](T x, int64_t high, G generator) -> const Tensor& {
                return random_(x, 0, high, generator);
              });
}

void bind_generator(py::module_& module) {
  py::class_<Generator, py::smart_holder>(
      module, "Generator",
      "A stream of random numbers of its own; the same seed gives the same numbers.")
      .def(py::init(
          [](const py::args&, const py::kwargs&) { return std::make_unique<Generator>(); }))
      .def(
          "manual_seed",
          [](py::object self, int64_t seed) {
            self.cast<Generator&>().manual_seed(static_cast<uint64_t>(seed));
            return self;
          },
          py::arg("seed"), "Starts the stream of `seed` at its beginning.")
      .def("seed", &Generator::seed, "Seeds from the system's entropy and returns the seed.")
      .def("initial_seed", &Generator::initial_seed, "The seed that the stream began with.")
      .def(
          "get_state",
          [](const Generator& self) {
            const GeneratorState state = self.state();
            return tensor({static_cast<int64_t>(state.seed), static_cast<int64_t>(state.offset)});
          },
          "Where the stream stands, as a tensor for set_state.")
      .def(
          "set_state",
          [](Generator& self, const Tensor& state) {
            TAUT_CHECK(state.numel() == 2 && state.dtype() == kInt64, ValueError,
                       "set_state: expected what get_state returned");
            const int64_t* values = state.contiguous().data_ptr<int64_t>();
            self.set_state({static_cast<uint64_t>(values[0]), static_cast<uint64_t>(values[1])});
          },
          py::arg("new_state"), "Goes on where get_state was called.")
      .def_property_readonly(
          "device", [](const Generator&) { return kCPU; },
          "The CPU: the numbers are the same on every device.");
  module.attr("default_generator") =
      py::cast(&default_generator(), py::return_value_policy::reference);
  module.def("use_deterministic_algorithms", &use_deterministic_algorithms, py::arg("mode"));
  module.def("are_deterministic_algorithms_enabled", &are_deterministic_algorithms_enabled);
}

}  // namespace taut::python
