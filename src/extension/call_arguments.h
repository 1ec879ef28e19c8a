#pragma once
// What a call of a custom op is given: its inputs and its attributes, checked against the
// definition.

#include <memory>
#include <vector>

#include "taut/extension/custom_op.h"

namespace taut::detail {

/// @throws ValueError for a wrong number of inputs, or an undefined one that is not optional.
void check_inputs(const CustomOpDefinition& definition, const Tensors& inputs);

/// The device of all inputs. @throws DeviceError for several, ValueError without a defined input.
Device common_device(const CustomOpDefinition& definition, const Tensors& inputs);

/// A value for each attribute of the definition, in its order: what was given, or the default.
/// @throws ValueError for a name that the definition lacks, or a value of another kind.
std::shared_ptr<const std::vector<Scalar>> attribute_values(const CustomOpDefinition& definition,
                                                            const CustomAttributes& given);

/// Casts the inputs as autocast does under a policy.
void cast_inputs(AutocastPolicy policy, Tensors& inputs);

}  // namespace taut::detail
