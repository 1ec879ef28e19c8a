#pragma once
// How C++ functions become Python functions: one row each,
//   both("add(input, other, *, alpha=1)", fn<Tensor(T, T, S)>(taut::add));
// gives taut.add and Tensor.add, with PyTorch's argument names, defaults and flexible arguments.
// Rows of the same name are overloads, tried in order.
//
// In a signature, `*name` before a list of sizes or tensors also takes its items one by one
// (view(2, 3)), everything after `*` is named, and `-> (values, indices)` names the parts of a
// tuple. A default of None lets None stand for an undefined tensor, an empty list or an absent
// optional.
//
// The call goes through CPython's vectorcall protocol and one small function for each C++
// signature, so that a row costs no code and a call about 50 ns.

#include <pybind11/pybind11.h>

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "errors.h"
#include "gil.h"
#include "taut/core/generator.h"
#include "taut/core/tensor_options.h"
#include "tensor_object.h"
#include "values.h"

namespace taut::python {

inline constexpr int kMaxParameters = 28;

struct Parameter {
  PyObject* name = nullptr;           // interned
  PyObject* default_value = nullptr;  // null when it must be given
  std::string default_text;
  bool named_only = false;
  bool variadic = false;
};

struct Overload;
using AnyFunction = void (*)();
/// Reads the arguments and calls the function. Null with `failed` set when an argument does not
/// fit.
using Thunk = PyObject* (*)(const Overload& overload, PyObject* const* slots, int& failed);

struct Overload {
  std::vector<Parameter> parameters;
  int positional = 0;  // how many may be given by position
  std::vector<const char*> annotations;
  std::string result;
  PyTypeObject* result_type = nullptr;  // of named parts
  AnyFunction function = nullptr;
  Thunk thunk = nullptr;
};

// Arguments --------------------------------------------------------------------------------------

/// Reads one argument: load() from Python, get() for C++, work() as a hint of how much is to be
/// done.
template <class T>
struct Argument {
  T value{};
  bool load(PyObject* object, const Parameter&) { return read(object, value); }
  const T& get() const { return value; }
  int64_t work() const {
    if constexpr (std::is_same_v<T, Dims>) {
      return value.numel();
    } else {
      return 0;
    }
  }
};

inline bool is_absent(PyObject* object, const Parameter& parameter) {
  return object == Py_None && parameter.default_value == Py_None;
}

template <>
struct Argument<Tensor> {
  static inline const Tensor undefined{};
  const Tensor* value = nullptr;
  bool load(PyObject* object, const Parameter& parameter) {
    value = &undefined;
    if (is_absent(object, parameter)) return true;
    if (!is_tensor(object)) return false;
    value = &tensor_of(object);
    return value->defined();
  }
  const Tensor& get() const { return *value; }
  int64_t work() const { return value->defined() ? value->numel() : 0; }
};

template <>
struct Argument<Dims> {
  Dims value;
  bool load(PyObject* object, const Parameter& parameter) {
    return is_absent(object, parameter) || read(object, value);
  }
  const Dims& get() const { return value; }
  int64_t work() const { return value.numel(); }
};

template <class T>
struct Argument<std::optional<T>> {
  Argument<T> inner;
  std::optional<T> value;
  bool load(PyObject* object, const Parameter& parameter) {
    if (object == Py_None) return true;
    if (!inner.load(object, parameter)) return false;
    value = inner.get();
    return true;
  }
  const std::optional<T>& get() const { return value; }
  int64_t work() const { return 0; }
};

template <>
struct Argument<int> {
  int value = 0;
  bool load(PyObject* object, const Parameter&) {
    int64_t wide = 0;
    if (!read(object, wide)) return false;
    value = static_cast<int>(wide);
    return value == wide;
  }
  int get() const { return value; }
  int64_t work() const { return 0; }
};

/// A str whose characters live as long as the call.
template <>
struct Argument<std::string_view> {
  std::string_view value;
  bool load(PyObject* object, const Parameter&) {
    if (!PyUnicode_Check(object)) return false;
    Py_ssize_t length = 0;
    const char* characters = PyUnicode_AsUTF8AndSize(object, &length);
    if (characters == nullptr) return false;
    value = std::string_view(characters, static_cast<size_t>(length));
    return true;
  }
  std::string_view get() const { return value; }
  int64_t work() const { return 0; }
};

template <>
struct Argument<std::string> : Argument<std::string_view> {
  std::string get() const { return std::string(value); }
};

template <class T>
struct SequenceArgument {
  std::vector<T> value;
  template <class ReadItem>
  bool load_items(PyObject* object, ReadItem read_item) {
    if (!PyTuple_Check(object) && !PyList_Check(object)) return false;
    const Py_ssize_t count = PySequence_Fast_GET_SIZE(object);
    value.reserve(static_cast<size_t>(count));
    for (Py_ssize_t i = 0; i < count; ++i) {
      T item{};
      if (!read_item(PySequence_Fast_GET_ITEM(object, i), item)) return false;
      value.push_back(std::move(item));
    }
    return true;
  }
};

template <>
struct Argument<Tensors> : SequenceArgument<Tensor> {
  bool load(PyObject* object, const Parameter& parameter) {
    if (is_absent(object, parameter)) return true;
    if (is_tensor(object)) {  // a tensor is the sequence of its rows
      const Tensor& tensor = tensor_of(object);
      if (!tensor.defined() || tensor.dim() == 0) return false;
      value = tensor.unbind(0);
      return true;
    }
    return load_items(object, [](PyObject* item, Tensor& tensor) {
      if (!is_tensor(item)) return false;
      tensor = tensor_of(item);
      return true;
    });
  }
  const Tensors& get() const { return value; }
  int64_t work() const {
    int64_t total = 0;
    for (const Tensor& tensor : value) total += tensor.numel();
    return total;
  }
};
template <>
struct Argument<TensorList> : Argument<Tensors> {
  TensorList get() const { return value; }
};

template <class T>
struct Argument<std::vector<T>> : SequenceArgument<T> {
  bool load(PyObject* object, const Parameter&) {
    return this->load_items(object, [](PyObject* item, T& result) { return read(item, result); });
  }
  const std::vector<T>& get() const { return this->value; }
  int64_t work() const { return 0; }
};
template <>
struct Argument<std::vector<std::optional<Tensor>>> : SequenceArgument<std::optional<Tensor>> {
  bool load(PyObject* object, const Parameter&) {
    return load_items(object, [](PyObject* item, std::optional<Tensor>& tensor) {
      if (item == Py_None) return true;
      if (!is_tensor(item)) return false;
      tensor = tensor_of(item);
      return true;
    });
  }
  const std::vector<std::optional<Tensor>>& get() const { return value; }
  int64_t work() const { return 0; }
};
template <>
struct Argument<std::span<const int64_t>> : Argument<std::vector<int64_t>> {
  std::span<const int64_t> get() const { return this->value; }
};

/// Any Python object; the function then runs with the interpreter's lock.
template <>
struct Argument<pybind11::object> {
  pybind11::object value;
  bool load(PyObject* object, const Parameter&) {
    value = pybind11::reinterpret_borrow<pybind11::object>(object);
    return true;
  }
  const pybind11::object& get() const { return value; }
  int64_t work() const { return 0; }
};
template <>
struct Argument<pybind11::handle> {
  pybind11::handle value;
  bool load(PyObject* object, const Parameter&) {
    value = object;
    return true;
  }
  pybind11::handle get() const { return value; }
  int64_t work() const { return 0; }
};

/// None is the default generator.
template <>
struct Argument<Generator*> {
  Generator* value = nullptr;
  bool load(PyObject* object, const Parameter&) {
    if (object == Py_None) return true;
    if (!pybind11::isinstance<Generator>(object)) return false;
    value = pybind11::handle(object).cast<Generator*>();
    return true;
  }
  Generator* get() const { return value; }
  int64_t work() const { return 0; }
};

template <class T>
inline constexpr bool is_python_object = std::is_base_of_v<pybind11::handle, T>;

/// The name of a type in signatures and stubs.
template <class T>
struct Annotation;
#define TAUT_ANNOTATION(Type, text)                         \
  template <>                                               \
  struct Annotation<Type> {                                 \
    static constexpr const char* value = text;              \
    static constexpr const char* optional = text " | None"; \
  };
TAUT_ANNOTATION(Tensor, "Tensor")
TAUT_ANNOTATION(Scalar, "Number")
TAUT_ANNOTATION(double, "float")
TAUT_ANNOTATION(bool, "bool")
TAUT_ANNOTATION(int64_t, "int")
TAUT_ANNOTATION(int, "int")
TAUT_ANNOTATION(Dims, "int | Sequence[int]")
TAUT_ANNOTATION(DType, "dtype")
TAUT_ANNOTATION(Device, "DeviceLike")
TAUT_ANNOTATION(MemoryFormat, "memory_format")
TAUT_ANNOTATION(std::string_view, "str")
TAUT_ANNOTATION(std::string, "str")
TAUT_ANNOTATION(Tensors, "Sequence[Tensor]")
TAUT_ANNOTATION(TensorList, "Sequence[Tensor]")
TAUT_ANNOTATION(std::vector<int64_t>, "Sequence[int]")
TAUT_ANNOTATION(std::span<const int64_t>, "Sequence[int]")
TAUT_ANNOTATION(std::vector<double>, "Sequence[float]")
TAUT_ANNOTATION(std::vector<Dims>, "Sequence[int] | int")
TAUT_ANNOTATION(pybind11::object, "Any")
TAUT_ANNOTATION(pybind11::handle, "Any")
TAUT_ANNOTATION(std::vector<std::optional<Tensor>>, "Sequence[Tensor | None]")
TAUT_ANNOTATION(Generator*, "Generator | None")
TAUT_ANNOTATION(void, "None")
#undef TAUT_ANNOTATION
template <class T>
struct Annotation<std::optional<T>> {
  static constexpr const char* value = Annotation<T>::optional;
};

// Results ----------------------------------------------------------------------------------------

/// A tuple whose parts have names, if the overload names them.
PyObject* tuple_of_parts(const Overload& overload, std::span<PyObject* const> parts);

inline PyObject* to_python(const Tensor& tensor, const Overload&) { return wrap(tensor); }
inline PyObject* to_python(Tensor&& tensor, const Overload&) { return wrap(std::move(tensor)); }
inline PyObject* to_python(bool value, const Overload&) { return PyBool_FromLong(value); }
inline PyObject* to_python(int64_t value, const Overload&) { return PyLong_FromLongLong(value); }
inline PyObject* to_python(int value, const Overload&) { return PyLong_FromLong(value); }
inline PyObject* to_python(double value, const Overload&) { return PyFloat_FromDouble(value); }
inline PyObject* to_python(const Scalar& value, const Overload&) { return to_object(value); }
inline PyObject* to_python(DType value, const Overload&) { return to_object(value); }
inline PyObject* to_python(Device value, const Overload&) { return to_object(value); }
inline PyObject* to_python(const Dims& value, const Overload&) { return to_object(value); }
inline PyObject* to_python(std::string_view value, const Overload&) {
  return PyUnicode_FromStringAndSize(value.data(), static_cast<Py_ssize_t>(value.size()));
}
inline PyObject* to_python(pybind11::object&& value, const Overload&) {
  return value.release().ptr();
}
inline PyObject* to_python(const Tensors& tensors, const Overload&) {
  PyObject* tuple = PyTuple_New(static_cast<Py_ssize_t>(tensors.size()));
  for (size_t i = 0; tuple != nullptr && i < tensors.size(); ++i) {
    PyTuple_SET_ITEM(tuple, static_cast<Py_ssize_t>(i), wrap(tensors[i]));
  }
  return tuple;
}
template <class... Parts>
PyObject* to_python(const std::tuple<Parts...>& tuple, const Overload& overload) {
  return std::apply(
      [&](const Parts&... parts) {
        const std::array<PyObject*, sizeof...(Parts)> objects = {to_python(parts, overload)...};
        return tuple_of_parts(overload, objects);
      },
      tuple);
}
template <class A, class B>
PyObject* to_python(const std::pair<A, B>& pair, const Overload& overload) {
  const std::array<PyObject*, 2> objects = {to_python(pair.first, overload),
                                            to_python(pair.second, overload)};
  return tuple_of_parts(overload, objects);
}

template <class T>
struct ResultName {
  static std::string get() { return Annotation<T>::value; }
};
template <>
struct ResultName<Dims> {
  static std::string get() { return "Size"; }
};
template <>
struct ResultName<Device> {
  static std::string get() { return "device"; }
};
template <>
struct ResultName<Tensors> {
  static std::string get() { return "tuple[Tensor, ...]"; }
};
template <class... Parts>
struct ResultName<std::tuple<Parts...>> {
  static std::string get() {
    std::string result = "tuple[";
    ((result += ResultName<Parts>::get() + ", "), ...);
    result.resize(result.size() - 2);
    return result + "]";
  }
};
template <class A, class B>
struct ResultName<std::pair<A, B>> : ResultName<std::tuple<A, B>> {};

// Calls ------------------------------------------------------------------------------------------

template <class R, class... A>
struct CallThunk {
  template <size_t... I>
  static PyObject* apply(const Overload& overload, PyObject* const* slots, int& failed,
                         std::index_sequence<I...>) {
    try {
      std::tuple<Argument<std::remove_cvref_t<A>>...> arguments;
      const bool fits = ((std::get<I>(arguments).load(slots[I], overload.parameters[I]) ||
                          (failed = static_cast<int>(I), false)) &&
                         ...);
      if (!fits) return nullptr;
      const auto function = reinterpret_cast<R (*)(A...)>(overload.function);
      constexpr bool kNeedsLock = (is_python_object<std::remove_cvref_t<A>> || ...);
      const int64_t work = kNeedsLock ? 0 : (std::get<I>(arguments).work() + ... + 0);
      const auto call = [&]() -> R {
        const Unlocked unlocked(work > kLargeWork);
        return function(std::get<I>(arguments).get()...);
      };
      if constexpr (std::is_void_v<R>) {
        call();
        Py_RETURN_NONE;
      } else {
        return to_python(call(), overload);
      }
    } catch (...) {
      set_python_error();
      return nullptr;
    }
  }
  static PyObject* call(const Overload& overload, PyObject* const* slots, int& failed) {
    return apply(overload, slots, failed, std::index_sequence_for<A...>{});
  }
};

// Rows -------------------------------------------------------------------------------------------

enum class Place { function, method, both };

/// Where rows go: the functions of one module, and the methods of Tensor.
class Rows {
 public:
  Rows(pybind11::module_ module, std::string prefix)
      : module_(std::move(module)), prefix_(std::move(prefix)) {}

  template <class R, class... A>
  void add(Place place, const char* signature, R (*callable)(A...)) {
    Overload overload;
    overload.annotations = {Annotation<std::remove_cvref_t<A>>::value...};
    overload.result = ResultName<std::remove_cvref_t<R>>::get();
    overload.function = reinterpret_cast<AnyFunction>(callable);
    overload.thunk = &CallThunk<R, A...>::call;
    add_overload(place, signature, std::move(overload));
  }
  template <class F>
  void both(const char* signature, F callable) {
    add(Place::both, signature, +callable);
  }
  template <class F>
  void function(const char* signature, F callable) {
    add(Place::function, signature, +callable);
  }
  template <class F>
  void method(const char* signature, F callable) {
    add(Place::method, signature, +callable);
  }
  /// Another name for an op that stands already.
  void alias(const char* name, const char* existing);

 private:
  void add_overload(Place place, std::string_view signature, Overload overload);

  pybind11::module_ module_;
  std::string prefix_;
};

/// Picks one of several C++ overloads by its signature: fn<Tensor(T, T)>(taut::mul).
template <class Signature>
constexpr Signature* fn(Signature* function) {
  return function;
}

inline TensorOptions make_options(std::optional<DType> dtype, std::optional<Device> device,
                                  bool requires_grad = false) {
  return TensorOptions().dtype(dtype).device(device).requires_grad(requires_grad);
}

/// Creates the Python types of functions and methods; before any row.
void bind_op_types();

}  // namespace taut::python
