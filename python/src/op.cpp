#include "op.h"

#include <structmember.h>

#include <cstring>
#include <map>
#include <memory>

#include "taut/base/check.h"

namespace py = pybind11;

namespace taut::python {
namespace {

/// All that goes by one name. Never freed: rows live as long as the process.
struct Family {
  std::string name;      // add
  std::string qualname;  // nn.functional.relu, Tensor.add
  std::vector<std::unique_ptr<Overload>> overloads;
  // The form of a tensor and sizes one by one, as in view(16, 4), which has a way of its own.
  const Overload* of_sizes = nullptr;
};

struct OpObject {
  PyObject_HEAD vectorcallfunc vectorcall;
  Family* family;
};

PyTypeObject* function_type = nullptr;
PyTypeObject* method_type = nullptr;

Family& family_of(PyObject* op) { return *reinterpret_cast<OpObject*>(op)->family; }

// Reading signatures -----------------------------------------------------------------------------

std::string_view trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

/// Splits "a, b=(1, 2), *, c" at the commas outside parentheses.
std::vector<std::string_view> split_parameters(std::string_view list) {
  std::vector<std::string_view> parts;
  int depth = 0;
  size_t start = 0;
  for (size_t i = 0; i <= list.size(); ++i) {
    if (i == list.size() || (list[i] == ',' && depth == 0)) {
      const std::string_view part = trim(list.substr(start, i - start));
      if (!part.empty()) parts.push_back(part);
      start = i + 1;
    } else if (list[i] == '(') {
      ++depth;
    } else if (list[i] == ')') {
      --depth;
    }
  }
  return parts;
}

/// The value of a default: a number, a string, None, True, False or a tuple of those.
PyObject* parse_default(std::string_view text) {
  if (text == "None") return new_reference(Py_None);
  if (text == "True") return new_reference(Py_True);
  if (text == "False") return new_reference(Py_False);
  const std::string copy(text);
  if (text.front() == '\'') {
    return PyUnicode_InternFromString(copy.substr(1, copy.size() - 2).c_str());
  }
  if (text.front() == '(') {
    const auto parts = split_parameters(text.substr(1, text.size() - 2));
    PyObject* tuple = PyTuple_New(static_cast<Py_ssize_t>(parts.size()));
    for (size_t i = 0; i < parts.size(); ++i) {
      PyTuple_SET_ITEM(tuple, static_cast<Py_ssize_t>(i), parse_default(parts[i]));
    }
    return tuple;
  }
  if (text.find_first_of(".einf") != std::string_view::npos) {
    return PyFloat_FromDouble(std::strtod(copy.c_str(), nullptr));
  }
  return PyLong_FromString(copy.c_str(), nullptr, 10);
}

Parameter parse_parameter(std::string_view text) {
  Parameter parameter;
  if (text.front() == '*') {
    parameter.variadic = true;
    text.remove_prefix(1);
  }
  const size_t equals = text.find('=');
  const std::string parameter_name(trim(text.substr(0, equals)));
  parameter.name = PyUnicode_InternFromString(parameter_name.c_str());
  if (equals != std::string_view::npos) {
    parameter.default_text = std::string(trim(text.substr(equals + 1)));
    parameter.default_value = parse_default(parameter.default_text);
    if (parameter.default_value == nullptr) throw py::error_already_set();
  }
  return parameter;
}

/// A struct sequence taut.return_types.<name> with the given parts.
PyTypeObject* make_result_type(const std::string& name, std::string_view parts) {
  static std::map<std::string, PyTypeObject*> types;
  PyTypeObject*& type = types[name + std::string(parts)];
  if (type != nullptr) return type;
  std::vector<PyStructSequence_Field> fields;
  // Never freed: the type refers to the names for as long as it lives.
  for (std::string_view part : split_parameters(parts)) {
    fields.push_back({strdup(std::string(part).c_str()), nullptr});
  }
  fields.push_back({nullptr, nullptr});
  PyStructSequence_Desc description = {strdup(("taut.return_types." + name).c_str()), nullptr,
                                       fields.data(), static_cast<int>(fields.size()) - 1};
  type = PyStructSequence_NewType(&description);
  if (type == nullptr) throw py::error_already_set();
  return type;
}

/// Fills an overload from `name(parameters) -> (parts)` and returns the name.
std::string parse_signature(std::string_view signature, Overload& overload) {
  const size_t open = signature.find('(');
  const size_t arrow = signature.find(" -> ");
  const size_t close = signature.substr(0, arrow).rfind(')');
  std::string name(signature.substr(0, open));
  bool named_only = false;
  for (std::string_view part : split_parameters(signature.substr(open + 1, close - open - 1))) {
    if (part == "*") {
      named_only = true;
      continue;
    }
    Parameter parameter = parse_parameter(part);
    parameter.named_only = named_only;
    if (!named_only) ++overload.positional;
    named_only = named_only || parameter.variadic;
    overload.parameters.push_back(std::move(parameter));
  }
  if (arrow != std::string_view::npos) {
    std::string_view parts = trim(signature.substr(arrow + 4));
    parts = parts.substr(1, parts.size() - 2);
    overload.result_type = make_result_type(name, parts);
  }
  if (overload.parameters.size() != overload.annotations.size() ||
      overload.parameters.size() > kMaxParameters) {
    throw std::logic_error("the row '" + std::string(signature) + "' does not match its function");
  }
  return name;
}

std::string describe(const Overload& overload) {
  std::string text = "(";
  bool named_only = false;
  for (size_t i = 0; i < overload.parameters.size(); ++i) {
    const Parameter& parameter = overload.parameters[i];
    if (i > 0) text += ", ";
    if (parameter.named_only && !named_only && (i == 0 || !overload.parameters[i - 1].variadic)) {
      text += "*, ";
    }
    named_only = parameter.named_only;
    if (parameter.variadic) text += "*";
    text += py::cast<std::string>(py::handle(parameter.name));
    text += std::string(": ") + overload.annotations[i];
    if (parameter.default_value == Py_None &&
        std::strstr(overload.annotations[i], "None") == nullptr &&
        std::strcmp(overload.annotations[i], "Any") != 0) {
      text += " | None";
    }
    if (parameter.default_value != nullptr) text += " = " + parameter.default_text;
  }
  return text + ") -> " + overload.result;
}

// Calling ----------------------------------------------------------------------------------------

/// Names that NumPy's users write, and the parameter meant.
PyObject* parameter_of_alias(PyObject* keyword) {
  static const struct Aliases {
    PyObject* pairs[5][2];
    Aliases() {
      const char* names[5][2] = {{"axis", "dim"},
                                 {"keepdims", "keepdim"},
                                 {"x", "input"},
                                 {"x1", "input"},
                                 {"x2", "other"}};
      for (int i = 0; i < 5; ++i) {
        for (int j = 0; j < 2; ++j) pairs[i][j] = PyUnicode_InternFromString(names[i][j]);
      }
    }
  } aliases;
  for (const auto& pair : aliases.pairs) {
    if (PyUnicode_Compare(keyword, pair[0]) == 0) return pair[1];
  }
  return nullptr;
}

/// Arguments of PyTorch without a meaning here, which may be passed as long as they ask for
/// nothing.
bool may_ignore(PyObject* keyword, PyObject* value) {
  if (value == Py_None || value == Py_False) {
    for (const char* name : {"out", "layout", "pin_memory", "generator", "non_blocking"}) {
      if (PyUnicode_CompareWithASCIIString(keyword, name) == 0) return true;
    }
  }
  return PyUnicode_CompareWithASCIIString(keyword, "layout") == 0;
}

int find_parameter(const Overload& overload, PyObject* keyword) {
  const auto& parameters = overload.parameters;
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (parameters[i].name == keyword) return static_cast<int>(i);
  }
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (PyUnicode_Compare(parameters[i].name, keyword) == 0) return static_cast<int>(i);
  }
  PyObject* meant = parameter_of_alias(keyword);
  for (size_t i = 0; meant != nullptr && i < parameters.size(); ++i) {
    if (parameters[i].name == meant) return static_cast<int>(i);
  }
  return -1;
}

/// Whether the arguments from a variadic parameter on are its items and not one list of them.
bool are_items(PyObject* const* args, Py_ssize_t count) {
  if (count != 1) return true;
  return is_integer(args[0]) || is_tensor(args[0]);
}

/// Why an overload did not take the arguments, for the error message.
struct Mismatch {
  std::string reason;
};

std::string text_of(PyObject* name) { return py::cast<std::string>(py::handle(name)); }

/// Sorts the arguments into the slots of an overload. False with a reason if they do not fit;
/// `items` keeps a tuple that was made for a variadic parameter.
bool place_arguments(const Overload& overload, PyObject* const* args, Py_ssize_t count,
                     PyObject* keywords, PyObject** slots, py::object& items, Mismatch* mismatch) {
  const auto& parameters = overload.parameters;
  const size_t size = parameters.size();
  const Py_ssize_t positional = overload.positional;
  const bool variadic = positional > 0 && parameters[static_cast<size_t>(positional) - 1].variadic;
  Py_ssize_t placed = count;
  if (TAUT_UNLIKELY(variadic && count >= positional - 1)) {
    placed = positional - 1;
    const Py_ssize_t rest = count - placed;
    const bool given_by_name =
        rest == 0 && keywords != nullptr &&
        PySequence_Contains(keywords, parameters[static_cast<size_t>(placed)].name) == 1;
    const bool has_default = parameters[static_cast<size_t>(placed)].default_value != nullptr;
    if (!given_by_name && !(rest == 0 && has_default)) {
      if (are_items(args + placed, rest)) {
        items = py::reinterpret_steal<py::object>(PyTuple_New(rest));
        for (Py_ssize_t i = 0; i < rest; ++i) {
          PyTuple_SET_ITEM(items.ptr(), i, new_reference(args[placed + i]));
        }
        slots[placed] = items.ptr();
      } else if (rest == 1) {
        slots[placed] = args[placed];
      } else {
        if (mismatch != nullptr) mismatch->reason = "too many arguments";
        return false;
      }
    }
  } else if (count > positional) {
    if (mismatch != nullptr) {
      mismatch->reason = concat("at most ", static_cast<int64_t>(positional),
                                " arguments by position; got ", static_cast<int64_t>(count));
    }
    return false;
  }
  for (Py_ssize_t i = 0; i < placed; ++i) slots[i] = args[i];
  if (TAUT_UNLIKELY(keywords != nullptr)) {
    const Py_ssize_t keyword_count = PyTuple_GET_SIZE(keywords);
    for (Py_ssize_t k = 0; k < keyword_count; ++k) {
      PyObject* keyword = PyTuple_GET_ITEM(keywords, k);
      const int index = find_parameter(overload, keyword);
      if (index < 0 && may_ignore(keyword, args[count + k])) continue;
      if (index < 0 || slots[index] != nullptr) {
        if (mismatch != nullptr) {
          mismatch->reason =
              (index < 0 ? "no argument '" : "two values for '") + text_of(keyword) + "'";
        }
        return false;
      }
      slots[index] = args[count + k];
    }
  }
  for (size_t i = 0; i < size; ++i) {
    if (slots[i] != nullptr) continue;
    slots[i] = parameters[i].default_value;
    if (slots[i] == nullptr) {
      if (mismatch != nullptr)
        mismatch->reason = "'" + text_of(parameters[i].name) + "' is missing";
      return false;
    }
  }
  return true;
}

std::string type_name(PyObject* object) {
  std::string name = Py_TYPE(object)->tp_name;
  const size_t dot = name.rfind('.');
  return dot == std::string::npos ? name : name.substr(dot + 1);
}

[[gnu::cold]] PyObject* raise_no_overload(const Family& family, PyObject* const* args,
                                          Py_ssize_t count, PyObject* keywords) {
  std::string message = family.name + ": ";
  const bool single = family.overloads.size() == 1;
  if (!single) {
    message += "no form takes (";
    const Py_ssize_t total = count + (keywords == nullptr ? 0 : PyTuple_GET_SIZE(keywords));
    for (Py_ssize_t i = 0; i < total; ++i) {
      if (i > 0) message += ", ";
      if (i >= count) message += text_of(PyTuple_GET_ITEM(keywords, i - count)) + "=";
      message += type_name(args[i]);
    }
    message += "); expected one of";
  }
  for (const auto& overload : family.overloads) {
    PyObject* slots[kMaxParameters] = {};
    py::object items;
    Mismatch mismatch;
    int failed = -1;
    if (place_arguments(*overload, args, count, keywords, slots, items, &mismatch)) {
      PyObject* result = overload->thunk(*overload, slots, failed);
      Py_XDECREF(result);
      PyErr_Clear();
      if (failed >= 0) {
        const auto at = static_cast<size_t>(failed);
        mismatch.reason = "'" + text_of(overload->parameters[at].name) + "' must be " +
                          overload->annotations[at] + "; got " + type_name(slots[at]);
      }
    }
    if (single) {
      message += mismatch.reason + "; expected " + family.name + describe(*overload);
    } else {
      message += "\n  " + family.name + describe(*overload) + "  (" + mismatch.reason + ")";
    }
  }
  PyErr_SetString(PyExc_TypeError, message.c_str());
  return nullptr;
}

using OfSizes = CallThunk<Tensor, const Tensor&, const Dims&>;

bool takes_sizes(const Overload& overload) {
  return overload.thunk == &OfSizes::call && overload.parameters[1].variadic;
}

/// A call with a tensor and plain ints; null without an error when the arguments are others.
PyObject* call_with_sizes(const Overload& overload, PyObject* const* args, Py_ssize_t count) {
  if (count < 2 || count > 1 + kMaxRank || !is_tensor(args[0])) return nullptr;
  try {
    Dims sizes;
    for (Py_ssize_t i = 1; i < count; ++i) {
      int64_t size = 0;
      if (!PyLong_CheckExact(args[i]) || !read(args[i], size)) return nullptr;
      sizes.push_back(size);
    }
    const Tensor& input = tensor_of(args[0]);
    const auto function =
        reinterpret_cast<Tensor (*)(const Tensor&, const Dims&)>(overload.function);
    const auto call = [&] {
      const Unlocked unlocked(input.numel() > kLargeWork);
      return function(input, sizes);
    };
    return wrap(call());
  } catch (...) {
    set_python_error();
    return nullptr;
  }
}

PyObject* call_op(PyObject* self, PyObject* const* args, size_t nargsf, PyObject* keywords) {
  const Family& family = family_of(self);
  const Py_ssize_t count = PyVectorcall_NARGS(nargsf);
  // A method taken from the class gets whatever it is given.
  if (TAUT_UNLIKELY(Py_TYPE(self) == method_type && (count == 0 || !is_tensor(args[0])))) {
    PyErr_Format(PyExc_TypeError, "%s: the first argument must be a Tensor; got %s",
                 family.qualname.c_str(), count == 0 ? "nothing" : Py_TYPE(args[0])->tp_name);
    return nullptr;
  }
  if (family.of_sizes != nullptr && keywords == nullptr) {
    PyObject* result = call_with_sizes(*family.of_sizes, args, count);
    if (result != nullptr || PyErr_Occurred() != nullptr) return result;
  }
  for (const auto& overload : family.overloads) {
    PyObject* slots[kMaxParameters] = {};
    py::object items;
    if (!place_arguments(*overload, args, count, keywords, slots, items, nullptr)) continue;
    int failed = -1;
    PyObject* result = overload->thunk(*overload, slots, failed);
    if (result != nullptr || PyErr_Occurred() != nullptr) return result;
  }
  return raise_no_overload(family, args, count, keywords);
}

// The Python types -------------------------------------------------------------------------------

void op_dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  type->tp_free(self);
  Py_DECREF(type);
}

PyObject* op_repr(PyObject* self) {
  return PyUnicode_FromFormat("<%s taut.%s>", Py_TYPE(self) == method_type ? "method" : "function",
                              family_of(self).qualname.c_str());
}

PyObject* method_get(PyObject* self, PyObject* instance, PyObject*) {
  if (instance == nullptr || instance == Py_None) return new_reference(self);
  return PyMethod_New(self, instance);
}

PyObject* op_name(PyObject* self, void*) {
  return PyUnicode_FromString(family_of(self).name.c_str());
}
/// The name within its module: add, Tensor.add.
PyObject* op_qualname(PyObject* self, void*) {
  const Family& family = family_of(self);
  const bool is_method = Py_TYPE(self) == method_type;
  return PyUnicode_FromString(is_method ? family.qualname.c_str() : family.name.c_str());
}
PyObject* op_module(PyObject* self, void*) {
  const std::string& qualname = family_of(self).qualname;
  const size_t dot = qualname.rfind('.');
  if (Py_TYPE(self) == method_type || dot == std::string::npos) return PyUnicode_FromString("taut");
  return PyUnicode_FromString(("taut." + qualname.substr(0, dot)).c_str());
}
PyObject* op_signatures(PyObject* self, void*) {
  py::list result;
  for (const auto& overload : family_of(self).overloads) result.append(describe(*overload));
  return result.release().ptr();
}
/// What the op does stands in taut/_docs.py; how it is called, here.
PyObject* op_doc(PyObject* self, void*) {
  try {
    const Family& family = family_of(self);
    py::str forms = "";
    for (const auto& overload : family.overloads) {
      forms = forms + py::str(family.name + describe(*overload) + "\n");
    }
    const py::object text = py::module_::import("taut._docs").attr("text_of")(family.qualname);
    return (forms + py::str("\n") + py::str(text)).release().ptr();
  } catch (...) {
    set_python_error();
    return nullptr;
  }
}
/// Pickled by name.
PyObject* op_reduce(PyObject* self, PyObject*) { return op_qualname(self, nullptr); }

PyGetSetDef op_members[] = {{"__name__", op_name, nullptr, nullptr, nullptr},
                            {"__qualname__", op_qualname, nullptr, nullptr, nullptr},
                            {"__module__", op_module, nullptr, nullptr, nullptr},
                            {"__doc__", op_doc, nullptr, nullptr, nullptr},
                            {"_signatures", op_signatures, nullptr, nullptr, nullptr},
                            {nullptr, nullptr, nullptr, nullptr, nullptr}};
PyMethodDef op_methods[] = {{"__reduce__", op_reduce, METH_NOARGS, nullptr},
                            {nullptr, nullptr, 0, nullptr}};
PyMemberDef op_offsets[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(OpObject, vectorcall), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr}};

PyTypeObject* make_op_type(const char* name, bool binds) {
  PyType_Slot slots[] = {{Py_tp_dealloc, (void*)op_dealloc},
                         {Py_tp_repr, (void*)op_repr},
                         {Py_tp_call, (void*)PyVectorcall_Call},
                         {Py_tp_getset, op_members},
                         {Py_tp_members, op_offsets},
                         {Py_tp_methods, op_methods},
                         {binds ? Py_tp_descr_get : 0, (void*)method_get},
                         {0, nullptr}};
  unsigned long flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL;
  if (binds) flags |= Py_TPFLAGS_METHOD_DESCRIPTOR;
  PyType_Spec spec = {name, sizeof(OpObject), 0, static_cast<unsigned>(flags), slots};
  auto* type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
  if (type == nullptr) throw py::error_already_set();
  type->tp_new = nullptr;
  return type;
}

/// The op of that name in a namespace, made if it is not there.
Family& family_in(PyTypeObject* type, py::handle holder, const std::string& name,
                  const std::string& qualname) {
  py::dict dict = type == method_type
                      ? py::reinterpret_borrow<py::dict>(tensor_type->tp_dict)
                      : py::reinterpret_borrow<py::dict>(PyModule_GetDict(holder.ptr()));
  if (dict.contains(name.c_str()) && Py_TYPE(dict[name.c_str()].ptr()) == type) {
    return family_of(dict[name.c_str()].ptr());
  }
  auto* op = reinterpret_cast<OpObject*>(type->tp_alloc(type, 0));
  if (op == nullptr) throw py::error_already_set();
  op->vectorcall = call_op;
  op->family = new Family{name, qualname, {}};
  const py::object object = py::reinterpret_steal<py::object>(reinterpret_cast<PyObject*>(op));
  dict[name.c_str()] = object;
  return *op->family;
}

}  // namespace

PyObject* tuple_of_parts(const Overload& overload, std::span<PyObject* const> parts) {
  const auto count = static_cast<Py_ssize_t>(parts.size());
  for (PyObject* part : parts) {
    if (part == nullptr) return nullptr;
  }
  if (overload.result_type == nullptr) {
    PyObject* tuple = PyTuple_New(count);
    for (Py_ssize_t i = 0; i < count; ++i)
      PyTuple_SET_ITEM(tuple, i, parts[static_cast<size_t>(i)]);
    return tuple;
  }
  PyObject* tuple = PyStructSequence_New(overload.result_type);
  for (Py_ssize_t i = 0; i < count; ++i) {
    PyStructSequence_SetItem(tuple, i, parts[static_cast<size_t>(i)]);
  }
  return tuple;
}

namespace {

void add_to(Family& family, const Overload& overload) {
  family.overloads.push_back(std::make_unique<Overload>(overload));
  if (takes_sizes(overload)) family.of_sizes = family.overloads.back().get();
}

}  // namespace

void Rows::add_overload(Place place, std::string_view signature, Overload overload) {
  const std::string name = parse_signature(signature, overload);
  if (place != Place::method) {
    add_to(family_in(function_type, module_, name, prefix_ + name), overload);
  }
  if (place != Place::function) {
    add_to(family_in(method_type, {}, name, "Tensor." + name), overload);
    PyType_Modified(tensor_type);
  }
}

void Rows::alias(const char* name, const char* existing) {
  const auto copy = [&](PyTypeObject* type, py::dict dict) {
    if (!dict.contains(existing) || dict.contains(name)) return;
    const Family& family = family_of(dict[existing].ptr());
    Family& other = family_in(type, module_, name,
                              type == method_type ? std::string("Tensor.") + name : prefix_ + name);
    for (const auto& overload : family.overloads) add_to(other, *overload);
  };
  copy(function_type, py::reinterpret_borrow<py::dict>(PyModule_GetDict(module_.ptr())));
  if (prefix_.empty()) {
    copy(method_type, py::reinterpret_borrow<py::dict>(tensor_type->tp_dict));
    PyType_Modified(tensor_type);
  }
}

void bind_op_types() {
  function_type = make_op_type("taut.function", false);
  method_type = make_op_type("taut.method", true);
}

}  // namespace taut::python
