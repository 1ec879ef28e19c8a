#pragma once
// All of Taut, for users; the library itself includes what it needs.
//   #include <taut/taut.h>
//   taut::Tensor x = taut::ones({2, 3}).requires_grad_();

#include "taut/autograd/backward.h"
#include "taut/autograd/grad_mode.h"
#include "taut/autograd/hooks.h"
#include "taut/base/config.h"
#include "taut/base/error.h"
#include "taut/base/parallel.h"
#include "taut/core/allocator.h"
#include "taut/core/cuda.h"
#include "taut/core/tensor.h"
#include "taut/nn/functional/activation.h"
#include "taut/ops/copy.h"
#include "taut/ops/creation.h"
#include "taut/ops/operators.h"
#include "taut/ops/pointwise.h"
#include "taut/ops/reduce.h"
#include "taut/ops/view.h"
