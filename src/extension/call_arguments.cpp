#include "src/extension/call_arguments.h"

#include "src/ops/autocast.h"
#include "taut/base/check.h"

namespace taut::detail {
namespace {

// A bool for a bool, an integer for an integer, any number for a float.
Scalar converted(const CustomOpDefinition& definition, const CustomAttribute& given,
                 const Scalar& standard) {
  const Scalar& value = given.value;
  if (standard.is_floating_point() && !value.is_boolean()) return Scalar(value.to_double());
  const char* const kinds[] = {"a number", "an integer", "a bool"};
  TAUT_CHECK(value.kind() == standard.kind(), ValueError, definition.name, ": ", given.name, " is ",
             value, "; expected ", kinds[static_cast<size_t>(standard.kind())]);
  return value;
}

std::string attribute_names(const CustomOpDefinition& definition) {
  std::string text;
  for (const CustomAttribute& attribute : definition.attributes) {
    text += (text.empty() ? "" : ", ") + attribute.name;
  }
  return text.empty() ? "none" : text;
}

}  // namespace

void check_inputs(const CustomOpDefinition& definition, const Tensors& inputs) {
  TAUT_CHECK(inputs.size() == definition.inputs.size(), ValueError, definition.name, ": it has ",
             definition.inputs.size(), " inputs; got ", inputs.size());
  for (size_t i = 0; i < inputs.size(); ++i) {
    TAUT_CHECK(inputs[i].defined() || definition.inputs[i].ends_with('?'), ValueError,
               definition.name, ": ", definition.inputs[i], " is undefined; expected a tensor");
  }
}

Device common_device(const CustomOpDefinition& definition, const Tensors& inputs) {
  const Tensor* first = nullptr;
  for (const Tensor& input : inputs) {
    if (!input.defined()) continue;
    if (first == nullptr) first = &input;
    TAUT_CHECK(input.device() == first->device(), DeviceError, definition.name,
               ": expected all inputs on one device; got ", first->device(), " and ",
               input.device());
  }
  TAUT_CHECK(first != nullptr, ValueError, definition.name, ": every input is undefined");
  return first->device();
}

std::shared_ptr<const std::vector<Scalar>> attribute_values(const CustomOpDefinition& definition,
                                                            const CustomAttributes& given) {
  auto values = std::make_shared<std::vector<Scalar>>();
  for (const CustomAttribute& attribute : definition.attributes) {
    values->push_back(attribute.value);
  }
  for (const CustomAttribute& attribute : given) {
    size_t i = 0;
    while (i < values->size() && definition.attributes[i].name != attribute.name) ++i;
    TAUT_CHECK(i < values->size(), ValueError, definition.name, ": it has no attribute '",
               attribute.name, "'; it has: ", attribute_names(definition));
    (*values)[i] = converted(definition, attribute, definition.attributes[i].value);
  }
  return values;
}

void cast_inputs(AutocastPolicy policy, Tensors& inputs) {
  Tensors defined;
  for (const Tensor& input : inputs) {
    if (input.defined()) defined.push_back(input);
  }
  const DType widest =
      policy == AutocastPolicy::widest_dtype ? ops::widest_dtype(defined) : kFloat32;
  for (Tensor& input : inputs) {
    if (!input.defined()) continue;
    switch (policy) {
      case AutocastPolicy::as_they_are: break;
      case AutocastPolicy::lower_dtype: input = ops::lowered(input); break;
      case AutocastPolicy::float32: input = ops::raised(input); break;
      case AutocastPolicy::widest_dtype: input = ops::widened(input, widest); break;
    }
  }
}

}  // namespace taut::detail
