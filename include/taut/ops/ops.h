#pragma once
// Every op, for the library's own floors above the ops; users include <taut/taut.h>.

#include "taut/core/tensor.h"
#include "taut/ops/copy.h"
#include "taut/ops/creation.h"
#include "taut/ops/indexing.h"
#include "taut/ops/join.h"
#include "taut/ops/matmul.h"
#include "taut/ops/operators.h"
#include "taut/ops/pointwise.h"
#include "taut/ops/random.h"
#include "taut/ops/reduce.h"
#include "taut/ops/sort.h"
#include "taut/ops/view.h"
