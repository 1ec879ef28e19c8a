"""What every op does: name -> text. The forms in which an op is called come from its row in the C++ half; help() shows
both. Methods share the text of their function, and `name_` is the in-place form of `name`."""

_ELEMENTWISE = {
    "abs": "|x|.", "neg": "-x; bool is refused.", "square": "x * x.", "sgn": "-1, 0 or 1 by the sign.",
    "sign": "-1, 0 or 1 by the sign.", "reciprocal": "1 / x.", "sqrt": "The square root; NaN below 0.",
    "rsqrt": "1 / sqrt(x).", "deg2rad": "Degrees to radians.", "rad2deg": "Radians to degrees.",
    "exp": "e to the power x.", "exp2": "2 to the power x.", "expm1": "e^x - 1, exact near 0.",
    "log": "The natural logarithm.", "log10": "The logarithm to base 10.", "log1p": "log(1 + x), exact near 0.",
    "log2": "The logarithm to base 2.", "sigmoid": "1 / (1 + e^-x).", "sin": "The sine of an angle in radians.",
    "cos": "The cosine of an angle in radians.", "tan": "The tangent of an angle in radians.", "asin": "The arc sine.",
    "acos": "The arc cosine.", "atan": "The arc tangent.", "sinh": "The hyperbolic sine.",
    "cosh": "The hyperbolic cosine.", "tanh": "The hyperbolic tangent.", "asinh": "The inverse hyperbolic sine.",
    "acosh": "The inverse hyperbolic cosine.", "atanh": "The inverse hyperbolic tangent.",
    "sinc": "sin(pi x) / (pi x), 1 at 0.", "erf": "The error function.", "erfc": "1 - erf(x).",
    "erfinv": "The inverse of erf.", "lgamma": "log |gamma(x)|.", "digamma": "The derivative of lgamma.",
    "floor": "The largest integer not above x.", "ceil": "The smallest integer not below x.",
    "trunc": "x without its fraction.", "frac": "x - trunc(x).", "relu": "max(0, x).",
    "isnan": "Where x is NaN.", "isinf": "Where x is infinite.", "isfinite": "Where x is neither NaN nor infinite.",
    "isposinf": "Where x is +infinity.", "isneginf": "Where x is -infinity.", "signbit": "Where the sign bit is set.",
    "logical_not": "Where x is 0.", "mul": "input * other.", "maximum": "The larger of two elements; NaN wins.",
    "minimum": "The smaller of two elements; NaN wins.", "fmax": "The larger of two elements; NaN loses.",
    "fmin": "The smaller of two elements; NaN loses.", "fmod": "The remainder with the sign of input.",
    "remainder": "The remainder with the sign of other, as Python's %.", "floor_divide": "floor(input / other).",
    "true_divide": "input / other, floating.", "pow": "input to the power exponent.",
    "xlogy": "input * log(other), 0 where input is 0.", "logaddexp": "log(e^input + e^other).",
    "logaddexp2": "log2(2^input + 2^other).", "atan2": "The angle of the point (other, input).",
    "hypot": "sqrt(input^2 + other^2).", "copysign": "|input| with the sign of other.",
    "heaviside": "0 below 0, 1 above, other at 0.", "bitwise_and": "The bits set in both.",
    "bitwise_or": "The bits set in either.", "bitwise_xor": "The bits set in one of both.",
    "bitwise_left_shift": "input * 2^other for integers.", "bitwise_right_shift": "floor(input / 2^other) for integers.",
    "gcd": "The greatest common divisor.", "lcm": "The least common multiple.", "eq": "input == other.",
    "ne": "input != other.", "lt": "input < other.", "le": "input <= other.", "gt": "input > other.",
    "ge": "input >= other.", "logical_and": "Where both are not 0.", "logical_or": "Where one is not 0.",
    "logical_xor": "Where exactly one is not 0.", "add": "input + alpha * other.",
    "sub": "input - alpha * other; bool is refused.", "rsub": "other - alpha * input.",
    "div": "input / other; rounding_mode 'trunc' or 'floor' rounds the quotient.", "bitwise_not": "~input.",
    "positive": "input itself; bool is refused.", "round": "To the nearest multiple of 10^-decimals, ties to even.",
    "nan_to_num": "NaN and the infinities replaced by numbers.", "clamp": "min(max(input, min), max).",
    "clamp_min": "max(input, min).", "clamp_max": "min(input, max).",
    "where": "input where condition, other elsewhere; with a condition alone, the indices where it holds.",
    "masked_fill": "input with value where mask is true.", "lerp": "input + weight * (end - input).",
    "addcmul": "input + value * tensor1 * tensor2.", "addcdiv": "input + value * tensor1 / tensor2.",
    "logit": "log(x / (1 - x)), x clamped to [eps, 1 - eps] when eps is given.",
    "polygamma": "The n-th derivative of digamma.", "isclose": "|input - other| <= atol + rtol * |other|.",
    "allclose": "Whether isclose holds for every element.", "equal": "Whether shapes and elements are the same.",
    "result_type": "The dtype that arithmetic on both gives.",
}

_SHAPES = {
    "view": "The same elements with another shape, one size of which may be -1, or the same bytes as another dtype; never a copy.",
    "reshape": "The same elements with another shape; a view where possible, a copy otherwise.",
    "view_as": "view with other's shape.", "reshape_as": "reshape to other's shape.",
    "flatten": "Dims start_dim to end_dim as one.", "unflatten": "One dim as several.", "ravel": "All dims as one.",
    "permute": "The dims in another order.", "transpose": "Two dims exchanged.", "swapaxes": "Two dims exchanged.",
    "swapdims": "Two dims exchanged.", "t": "The transpose of a matrix.", "adjoint": "The last two dims exchanged.",
    "movedim": "Dims moved to other places.", "moveaxis": "Dims moved to other places.",
    "squeeze": "Without dims of size 1: all, or those named.", "unsqueeze": "A new dim of size 1.",
    "expand": "Dims of size 1 repeated without a copy; -1 keeps a size.", "expand_as": "expand to other's shape.",
    "broadcast_to": "expand to a shape.", "broadcast_tensors": "Tensors expanded to their common shape.",
    "broadcast_shapes": "The shape that all broadcast to.", "narrow": "length indices of dim from start on.",
    "narrow_copy": "narrow as a copy.", "select": "One index of a dim, which goes away.",
    "diagonal": "The diagonal of two dims as the last dim.", "unfold": "Windows of a dim as a new last dim.",
    "as_strided": "Any sizes and strides over the storage.", "split": "Parts of a dim by size or sizes.",
    "split_with_sizes": "Parts of a dim by sizes.", "chunk": "At most `chunks` equal parts of a dim.",
    "tensor_split": "Parts of a dim by number or by indices.", "unbind": "The slices of a dim.",
    "hsplit": "tensor_split of columns.", "vsplit": "tensor_split of rows.", "dsplit": "tensor_split of dim 2.",
    "atleast_1d": "With one dim at least.", "atleast_2d": "With two dims at least.", "atleast_3d": "With three dims at least.",
    "detach": "The same elements outside the tape.", "alias": "A new view of everything.",
    "cat": "Tensors one after the other along a dim.", "stack": "Tensors along a new dim.",
    "hstack": "Tensors side by side (dim 1).", "vstack": "Tensors below each other (dim 0).",
    "dstack": "Tensors along dim 2.", "column_stack": "Vectors as columns of a matrix.",
    "block_diag": "Matrices along the diagonal of one.", "repeat": "The whole tensor several times along each dim.",
    "tile": "The whole tensor several times along each dim.", "repeat_interleave": "Each element several times.",
    "flip": "Indices in reverse along dims.", "fliplr": "flip of columns.", "flipud": "flip of rows.",
    "roll": "Elements moved on along dims; what leaves comes in again.", "rot90": "Turned k times by 90 degrees.",
    "tril": "The lower triangle of matrices.", "triu": "The upper triangle of matrices.",
    "diag": "A vector as a diagonal matrix, or the diagonal of a matrix.", "diagflat": "All elements as a diagonal.",
    "diag_embed": "The last dim as a diagonal.", "trace": "The sum of the diagonal.",
    "tril_indices": "Rows and columns of a lower triangle.", "triu_indices": "Rows and columns of an upper triangle.",
    "meshgrid": "Coordinates of a grid.", "cartesian_prod": "All combinations of elements.",
    "slice_scatter": "input with src in the place of a slice.", "select_scatter": "input with src in the place of an index.",
    "diagonal_scatter": "input with src in the place of a diagonal.", "constant_pad_nd": "Padding by a constant.",
    "gather": "Elements of a dim named by an index tensor.", "scatter": "src or value written where index says.",
    "scatter_add": "src added where index says.", "scatter_reduce": "src combined with what is there, where index says.",
    "index_select": "Slices of a dim named by an index vector.", "index_add": "source added to slices.",
    "index_copy": "source written to slices.", "index_fill": "value written to slices.",
    "index_put": "values written where index tensors say.", "take": "Elements of the flattened tensor.",
    "take_along_dim": "gather with broadcasting.", "masked_select": "The elements where mask is true.",
    "masked_scatter": "The elements where mask is true, replaced by those of source.",
    "nonzero": "Coordinates of the elements that are not 0.", "argwhere": "Coordinates of the elements that are not 0.",
}

_REDUCTIONS = {
    "sum": "The sum over dims (all unless given); integers and bool sum in int64.", "nansum": "sum without NaN.",
    "prod": "The product of elements.", "mean": "The mean over dims; integers need a floating dtype.",
    "nanmean": "mean without NaN.", "var": "The variance, divided by n - correction.",
    "std": "The standard deviation.", "var_mean": "(var, mean).", "std_mean": "(std, mean).",
    "amax": "The largest element over dims; equal ones share the gradient.",
    "amin": "The smallest element over dims; equal ones share the gradient.", "aminmax": "(amin, amax).",
    "max": "The largest element; with dim, (values, indices); with a tensor, maximum.",
    "min": "The smallest element; with dim, (values, indices); with a tensor, minimum.",
    "argmax": "The index of the largest element.", "argmin": "The index of the smallest element.",
    "all": "Whether no element is 0.", "any": "Whether an element is not 0.",
    "count_nonzero": "How many elements are not 0.", "logsumexp": "log(sum(e^x)) without overflow.",
    "dist": "The p-norm of input - other.", "sum_to_size": "The sum over broadcast dims.", "norm": "The p-norm.",
    "sort": "(values, indices) in order along a dim; stable, NaN last.", "argsort": "The indices that sort a dim.",
    "msort": "Sorted along dim 0.", "topk": "(values, indices) of the k largest or smallest.",
    "kthvalue": "(values, indices) of the k-th smallest, k from 1.", "median": "The lower middle element.",
    "nanmedian": "median without NaN.", "mode": "(values, indices) of the most frequent element.",
    "cummax": "(values, indices) of the running maximum.", "cummin": "(values, indices) of the running minimum.",
    "searchsorted": "Where values go in a sorted sequence.", "bucketize": "Which bucket each element falls into.",
    "unique": "Distinct elements, and on request where each went and how often it occurs.",
    "unique_consecutive": "unique among neighbours.", "bincount": "How often each number from 0 on occurs.",
    "histc": "Counts in equal parts of a range.", "isin": "Whether elements are among test_elements.",
    "cumsum": "The running sum.", "cumprod": "The running product.", "logcumsumexp": "The running logsumexp.",
    "diff": "Differences of neighbours.", "trapezoid": "The integral by the trapezoidal rule.",
    "cumulative_trapezoid": "The running integral by the trapezoidal rule.", "cross": "The cross product.",
    "multinomial": "Indices drawn by weight.", "softmax": "e^x / sum(e^x) along dim.",
    "log_softmax": "log(softmax(x)) without overflow.",
}

_PRODUCTS = {
    "matmul": "(..., m, k) times (..., k, n); batches broadcast, a vector is a row on the left and a column on the right.",
    "mm": "(m, k) times (k, n).", "bmm": "(b, m, k) times (b, k, n).", "mv": "A matrix times a vector.",
    "dot": "The sum of products of two vectors.", "vdot": "The sum of products of two vectors.",
    "inner": "Sums of products over the last dims.", "outer": "All products of two vectors.",
    "ger": "All products of two vectors.", "addmm": "beta * input + alpha * mat1 @ mat2.",
    "addmv": "beta * input + alpha * mat @ vec.", "addr": "beta * input + alpha * outer(vec1, vec2).",
    "baddbmm": "beta * input + alpha * batch1 @ batch2.", "addbmm": "beta * input + alpha * sum(batch1 @ batch2).",
    "einsum": "Sums of products by subscripts, as 'bij,bjk->bik'.", "tensordot": "Sums of products over dims.",
    "kron": "The Kronecker product.", "linalg.vector_norm": "(sum |x|^ord)^(1/ord) over dims.",
    "linalg.multi_dot": "The product of matrices in the cheapest order.",
    "linalg.matrix_power": "A square matrix to an integer power.", "linalg.vecdot": "Dot products along a dim.",
    "linalg.matmul": "The matrix product.",
}

_CREATION = {
    "tensor": "A new tensor of numbers, nested lists, a NumPy array or another tensor; always a copy.",
    "as_tensor": "tensor(), but the data itself where it can be shared.", "from_numpy": "A tensor over an array's memory.",
    "from_dlpack": "A tensor over the memory of another library's array.", "empty": "Uninitialised elements.",
    "empty_strided": "Uninitialised elements with given strides.", "zeros": "Zeros.", "ones": "Ones.",
    "full": "Every element is fill_value.", "arange": "start, start + step, ... before end.",
    "linspace": "steps numbers from start to end, both included.", "logspace": "base^start to base^end.",
    "eye": "Ones on the diagonal.", "scalar_tensor": "A tensor without dims.", "empty_like": "empty like input.",
    "zeros_like": "Zeros like input.", "ones_like": "Ones like input.", "full_like": "fill_value like input.",
    "new_empty": "empty with input's dtype and device.", "new_zeros": "zeros with input's dtype and device.",
    "new_ones": "ones with input's dtype and device.", "new_full": "full with input's dtype and device.",
    "new_tensor": "tensor with input's dtype and device.", "new_empty_strided": "empty_strided like input.",
    "rand": "Uniform in [0, 1).", "randn": "Normal with mean 0 and variance 1.", "randint": "Integers in [low, high).",
    "randperm": "0 .. n-1 in random order.", "rand_like": "rand like input.", "randn_like": "randn like input.",
    "randint_like": "randint like input.", "normal": "Normal numbers of given means and deviations.",
    "bernoulli": "1 with given probabilities, 0 otherwise.", "uniform_": "Filled uniformly in [from, to).",
    "normal_": "Filled with normal numbers.", "cauchy_": "Filled from the Cauchy distribution.",
    "log_normal_": "Filled from the log-normal distribution.", "exponential_": "Filled from the exponential distribution.",
    "geometric_": "Filled from the geometric distribution.", "random_": "Filled with integers in [from, to), without bounds with those that the dtype holds from 0 on.",
    "bernoulli_": "Filled with 1 with probability p, 0 otherwise.",
    "clone": "A copy with its own elements, on the tape.", "contiguous": "In row-major order; itself if it lies so already.",
    "to": "Another dtype or device; itself if it has both already.", "type": "The name of the dtype, or a cast.",
    "type_as": "Cast to other's dtype.", "cpu": "On the CPU.", "cuda": "On a GPU.", "pin_memory": "A copy in pinned host memory, from which GPUs copy without waiting; self if it is pinned.",
    "is_pinned": "Whether the tensor lies in pinned host memory.",
    "record_stream": "Its memory is not used again before what is on the stream when the tensor goes is done.",
    "copy_": "Writes src, broadcast and cast.",
    "fill_": "Writes value everywhere.", "zero_": "Writes zeros.", "fill": "value everywhere, as a new tensor.",
    **{name: f"A cast to {dtype}." for name, dtype in {
        "float": "float32", "double": "float64", "half": "float16", "bfloat16": "bfloat16", "char": "int8",
        "short": "int16", "int": "int32", "long": "int64", "byte": "uint8", "bool": "bool"}.items()},
}

_TENSOR = {
    "size": "The shape, or one size.", "stride": "The strides in elements, or one.", "storage_offset": "Elements before the first.",
    "dim": "How many dims.", "ndimension": "How many dims.", "numel": "How many elements.", "nelement": "How many elements.",
    "element_size": "Bytes of one element.", "get_device": "The GPU's index, -1 for the CPU.", "data_ptr": "The address of the first element.",
    "item": "The only element as a Python number.", "is_contiguous": "Whether elements lie in row-major order.",
    "is_floating_point": "Whether the dtype is floating.", "is_complex": "Whether the dtype is complex.",
    "is_nonzero": "Whether the only element is not 0.", "is_signed": "Whether the dtype has negative numbers.",
    "is_inference": "Whether it was made in inference mode.", "is_set_to": "Whether both show the same elements the same way.",
    "is_same_size": "Whether the shapes are equal.", "requires_grad_": "Asks for gradients of this leaf.",
    "retain_grad": "Keeps the gradient of a non-leaf.", "detach_": "Leaves the tape.", "transpose_": "Exchanges two dims in place.",
    "numpy": "A NumPy array over the same memory.", "tolist": "Nested lists of Python numbers.",
    "__dlpack__": "A DLPack capsule over the same memory.", "__dlpack_device__": "The DLPack device.",
    "masked_scatter_": "In place: the elements where mask is true, replaced by those of source.",
}

_FUNCTIONAL = {
    "pad": "`value` (0 unless given) around the elements: pad has two counts, before and after, for each dim from the last one "
    "on; negative ones cut. mode is 'constant'.",
    "scaled_dot_product_attention": "softmax(query key^T * scale + mask) value: query (..., L, E), key (..., S, E), value (..., S, V) "
    "to (..., L, V). attn_mask is bool (true: takes part) or is added; is_causal lets position i see positions up to i; scale is "
    "1 / sqrt(E) unless given; dropout_p acts whenever it is above 0; enable_gqa repeats the heads of key and value.",
    "multi_head_attention_forward": "What nn.MultiheadAttention computes, with its parameters as arguments: (output, weights), sequences "
    "(length, batch, features). Masks are True where nothing is seen, or are added.",
    "relu6": "min(max(0, x), 6).", "selu": "The self-normalising exponential unit (Klambauer et al., 2017).",
    "silu": "x * sigmoid(x).", "mish": "x * tanh(softplus(x)).", "hardsigmoid": "clamp(x / 6 + 1/2, 0, 1).",
    "hardswish": "x * hardsigmoid(x).", "logsigmoid": "log(sigmoid(x)).", "softsign": "x / (1 + |x|).",
    "tanhshrink": "x - tanh(x).", "leaky_relu": "x above 0, negative_slope * x below.",
    "elu": "x above 0, alpha (e^x - 1) below.", "celu": "max(0, x) + min(0, alpha (e^(x/alpha) - 1)).",
    "gelu": "x times the normal distribution function; approximate='tanh' is faster. With recompute the output is made again in backward.", "hardtanh": "clamp(x, min_val, max_val).",
    "threshold": "x above threshold, value below.", "softplus": "log(1 + e^(beta x)) / beta.",
    "softshrink": "x moved towards 0 by lambd.", "hardshrink": "x where |x| > lambd, 0 elsewhere.",
    "prelu": "x above 0, weight * x below.", "softmin": "softmax(-x).", "glu": "a * sigmoid(b) of the halves of a dim.",
    "mse_loss": "The mean of (input - target)^2.", "l1_loss": "The mean of |input - target|.",
    "smooth_l1_loss": "Squares below beta, absolute values above.", "huber_loss": "Squares below delta, absolute values above.",
    "binary_cross_entropy": "-(t log p + (1 - t) log(1 - p)).",
    "binary_cross_entropy_with_logits": "binary_cross_entropy of sigmoid(input), without its rounding.",
    "nll_loss": "Minus the log-probability of the target class.", "cross_entropy": "nll_loss of log_softmax(input) in one pass.",
    "kl_div": "target (log target - input).", "poisson_nll_loss": "The loss of Poisson counts.",
    "gaussian_nll_loss": "The loss of normal targets with given variances.", "soft_margin_loss": "log(1 + e^(-t x)).",
    "hinge_embedding_loss": "x for t = 1, max(0, margin - x) for t = -1.", "margin_ranking_loss": "max(0, -t (x1 - x2) + margin).",
    "cosine_embedding_loss": "1 - cos for t = 1, max(0, cos - margin) for t = -1.",
    "triplet_margin_loss": "max(0, d(anchor, positive) - d(anchor, negative) + margin).",
    "cosine_similarity": "x1 . x2 / (|x1| |x2|) along dim.", "pairwise_distance": "The p-norm of x1 - x2 over the last dim.",
    "normalize": "input / max(|input|_p, eps) along dim.", "layer_norm": "Mean 0 and variance 1 over the last dims. With recompute the output is made again in backward instead of being kept.",
    "rms_norm": "input / sqrt(mean(input^2) + eps) over the last dims; recompute as for layer_norm.", "group_norm": "Mean 0 and variance 1 over groups of channels.",
    "add_layer_norm": "(layer_norm(input + residual), input + residual) in one pass, as is its backward; what PyTorch writes as two ops, to the same "
                      "numbers.",
    "add_rms_norm": "(rms_norm(input + residual), input + residual) in one pass, as is its backward.",
    "batch_norm": "Mean 0 and variance 1 over the batch, or by running statistics.",
    "batch_norm_relu": "relu(batch_norm(input) + residual), the residual where there is one; one op on GPUs with channels_last.",
    "instance_norm": "Mean 0 and variance 1 over each channel of each sample.", "linear": "input @ weight.T + bias.",
    "mlp": "linear(activation(linear(input, weight1, bias1)), weight2, bias2); activation is 'relu', 'gelu' or 'gelu_tanh', and a "
           "GPU fuses the last and relu with the products, their gradients too. With recompute GELU's output is made again in backward.",
    "dropout": "Each element 0 with probability p, the others scaled by 1 / (1 - p).", "dropout2d": "dropout of whole channels.",
    "swiglu": "silu(gate) * up, both ways in one pass; without up, gate and up are the halves of the last dim.",
    "geglu": "gelu(gate, approximate) * up, both ways in one pass; without up, gate and up are the halves of the last dim.",
    "rotary_tables": "cos and sin of (positions, width / 2), of position * base^(-2 i / width).",
    "rotary_embedding": "Each row of (..., length, width) turned for its position, from `offset` on, by tables of rotary_tables. The pairs "
                        "are half a row apart, or neighbours where interleaved.",
    "rotary_qkv": "Query, key and value (batch, heads, length, width) from a product of (batch, length, (num_heads + 2 num_kv_heads) width), "
                  "the first two turned as by rotary_embedding; the values are a view.",
    "dropout_add": "dropout(input, p, training) + residual in one pass, to the same numbers.",
    "conv1d": "Cross-correlation over one dim.", "conv2d": "Cross-correlation over two dims.", "conv3d": "Cross-correlation over three dims.",
    "conv_transpose1d": "The gradient of conv1d as an op.", "conv_transpose2d": "The gradient of conv2d as an op.",
    "conv_transpose3d": "The gradient of conv3d as an op.", "unfold": "Sliding windows as columns.", "fold": "Columns added into windows.",
    "max_pool1d": "The largest element of each window.", "max_pool2d": "The largest element of each window.",
    "max_pool3d": "The largest element of each window.", "avg_pool1d": "The mean of each window.", "avg_pool2d": "The mean of each window.",
    "avg_pool3d": "The mean of each window.", "adaptive_avg_pool1d": "Means over as many parts as asked for.",
    "adaptive_avg_pool2d": "Means over as many parts as asked for.", "adaptive_avg_pool3d": "Means over as many parts as asked for.",
    "adaptive_max_pool1d": "Maxima over as many parts as asked for.", "adaptive_max_pool2d": "Maxima over as many parts as asked for.",
    "adaptive_max_pool3d": "Maxima over as many parts as asked for.", "embedding": "Rows of weight by index.",
    "one_hot": "1 at the class, 0 elsewhere.", "relu_": "relu in place.",
}

_INIT = {
    "constant_": "Every element val.", "zeros_": "Zeros.", "ones_": "Ones.", "uniform_": "Uniform in [a, b).",
    "normal_": "Normal numbers of the given mean and deviation.",
    "trunc_normal_": "Normal numbers of which none lies outside [a, b].",
    "xavier_uniform_": "Uniform in +-gain sqrt(6 / (fan_in + fan_out)). Glorot and Bengio, 2010.",
    "xavier_normal_": "Normal with deviation gain sqrt(2 / (fan_in + fan_out)).",
    "kaiming_uniform_": "Uniform in +-gain sqrt(3 / fan), with the gain of the nonlinearity that follows; mode is 'fan_in' or "
    "'fan_out', a the slope of a leaky_relu. He et al., 2015.",
    "kaiming_normal_": "Normal with deviation gain / sqrt(fan); arguments as for kaiming_uniform_.",
    "eye_": "The identity matrix.", "dirac_": "Convolution weights that hand each input channel through.",
    "sparse_": "In each column a share `sparsity` of zeros, the rest normal.",
    "calculate_gain": "By how much a nonlinearity shrinks the spread of its input; ValueError for an unknown one.",
    "_calculate_fan_in_and_fan_out": "(fan_in, fan_out) of a weight of at least two dims.",
}

_ALIASES = {
    "absolute": "abs", "greater": "gt", "greater_equal": "ge", "less": "lt", "less_equal": "le", "not_equal": "ne",
    "multiply": "mul", "subtract": "sub", "divide": "div", "negative": "neg", "clip": "clamp", "arccos": "acos",
    "arccosh": "acosh", "arcsin": "asin", "arcsinh": "asinh", "arctan": "atan", "arctanh": "atanh", "arctan2": "atan2",
    "fix": "trunc", "concat": "cat", "concatenate": "cat", "row_stack": "vstack", "trapz": "trapezoid", "asarray": "as_tensor",
}

_EXAMPLES = {
    "tensor": ">>> taut.tensor([[1, 2], [3, 4]])\ntensor([[1, 2],\n        [3, 4]])",
    "arange": ">>> taut.arange(0, 1, 0.25)\ntensor([0.0000, 0.2500, 0.5000, 0.7500])",
    "where": ">>> x = taut.tensor([-1.0, 2.0])\n>>> taut.where(x > 0, x, 0.0)\ntensor([0., 2.])",
    "cat": ">>> taut.cat([taut.zeros(1, 2), taut.ones(1, 2)])\ntensor([[0., 0.],\n        [1., 1.]])",
    "einsum": ">>> taut.einsum('ij,jk->ik', taut.eye(2), taut.ones(2, 2))\ntensor([[1., 1.],\n        [1., 1.]])",
    "max": ">>> values, indices = taut.tensor([[1, 3], [4, 2]]).max(1)\n>>> values, indices\n(tensor([3, 4]), tensor([1, 0]))",
    "view": ">>> taut.arange(4).view(2, -1)\ntensor([[0, 1],\n        [2, 3]])",
    "sum": ">>> taut.ones(2, 3).sum(1)\ntensor([3., 3.])",
    "add": ">>> taut.add(taut.tensor([1, 2]), 1, alpha=10)\ntensor([11, 12])",
    "matmul": ">>> taut.matmul(taut.ones(2, 3), taut.ones(3))\ntensor([3., 3.])",
    "sort": ">>> taut.sort(taut.tensor([3, 1, 2])).values\ntensor([1, 2, 3])",
    "from_numpy": ">>> import numpy\n>>> taut.from_numpy(numpy.arange(3))\ntensor([0, 1, 2])",
    "nn.functional.cross_entropy": ">>> taut.nn.functional.cross_entropy(taut.zeros(1, 4), taut.tensor([2]))\ntensor(1.3863)",
    "nn.functional.add_layer_norm": ">>> h, x = taut.tensor([[1., 2.]]), taut.tensor([[1., 0.]])\n"
                                    ">>> taut.nn.functional.add_layer_norm(h, x, 2).sum\ntensor([[2., 2.]])",
    "nn.functional.mlp": ">>> x, eye = taut.tensor([[1., -1.]]), taut.eye(2)\n>>> taut.nn.functional.mlp(x, eye, 2 * eye, activation='relu')\n"
                         "tensor([[2., 0.]])",
    "nn.functional.linear": ">>> taut.nn.functional.linear(taut.ones(1, 2), taut.eye(2))\ntensor([[1., 1.]])",
}

DOCS = {**_ELEMENTWISE, **_SHAPES, **_REDUCTIONS, **_PRODUCTS, **_CREATION}


def _find(name):
    for candidate in (name, name[:-1] if name.endswith("_") else name):
        candidate = _ALIASES.get(candidate, candidate)
        if candidate in DOCS:
            text = DOCS[candidate]
            return text if candidate in (name, _ALIASES.get(name)) else "In place: " + text[0].lower() + text[1:]
    return ""


def text_of(qualname):
    """The text of an op by its full name, such as add, Tensor.add_ or nn.functional.relu; '' for an unknown one."""
    owner, _, name = qualname.rpartition(".")
    if owner == "nn.functional":
        text = _FUNCTIONAL.get(name) or _find(name)
    elif owner == "nn.init":
        text = _INIT.get(name, "")
    elif owner == "Tensor":
        text = _TENSOR.get(name) or _find(name)
    else:
        text = DOCS.get(qualname) or _find(name) or _TENSOR.get(name, "")
    example = _EXAMPLES.get(name if owner in ("", "Tensor") else qualname)
    return f"{text}\n\n{example}\n" if example else text
