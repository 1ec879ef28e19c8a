"""What the classes of taut.nn that C++ has do: name -> text. help() shows the arguments too."""

_CONTAINERS = {
    "Module": """A computation with parameters, buffers and modules inside it; the base of all layers and models.

A subclass calls super().__init__(), sets its parts as attributes and defines forward(). Call a module, not its forward:

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.hidden = nn.Linear(784, 128)
            self.out = nn.Linear(128, 10)

        def forward(self, x):
            return self.out(taut.relu(self.hidden(x)))""",
    "Sequential": "One module after the other, named 0, 1 and so on; a dict brings names of its own.",
    "ModuleList": "Modules by position. It has no forward: the module that holds it says what to compute with them.",
    "ModuleDict": "Modules by name, in the order in which they came.",
    "ParameterList": "Parameters by position; tensors become parameters.",
}

_ACTIVATIONS = {
    "ReLU": "max(0, x).", "ReLU6": "min(max(0, x), 6).", "SELU": "The self-normalising exponential unit (Klambauer et al., 2017).",
    "SiLU": "x * sigmoid(x).", "Mish": "x * tanh(softplus(x)).", "Hardsigmoid": "clamp(x / 6 + 1/2, 0, 1).",
    "Hardswish": "x * hardsigmoid(x).", "Sigmoid": "1 / (1 + e^-x).", "Tanh": "The hyperbolic tangent.",
    "LogSigmoid": "log(sigmoid(x)).", "Softsign": "x / (1 + |x|).", "Tanhshrink": "x - tanh(x).",
    "LeakyReLU": "x above 0, negative_slope * x below.", "ELU": "x above 0, alpha (e^x - 1) below.",
    "CELU": "max(0, x) + min(0, alpha (e^(x/alpha) - 1)).",
    "GELU": "x times the normal distribution function; approximate='tanh' is faster. With recompute the output is made again in backward "
    "instead of being kept.",
    "Softplus": "log(1 + e^(beta x)) / beta, linear above threshold / beta.", "Hardtanh": "clamp(x, min_val, max_val).",
    "Softshrink": "x moved towards 0 by lambd.", "Hardshrink": "x where |x| > lambd, 0 elsewhere.",
    "Threshold": "x above threshold, value below.",
    "PReLU": "x above 0, a learnt slope times x below: one slope in all, or one for each channel (dim 1).",
    "GLU": "a * sigmoid(b) of the halves of a dim.", "Softmax": "e^x / sum(e^x) along dim.",
    "LogSoftmax": "log(softmax(x)) along dim, without overflow.", "Softmin": "softmax(-x) along dim.",
}

_LAYERS = {
    "Identity": "Its input; any arguments are taken.",
    "Linear": "(*, in_features) to (*, out_features): input @ weight.T + bias. Both start uniform in +-1 / sqrt(in_features).",
    "Bilinear": "input1 (*, in1) and input2 (*, in2) to (*, out): input1 @ weight (out, in1, in2) @ input2 + bias.",
    "Flatten": "Dims start_dim to end_dim as one.", "Unflatten": "One dim as several.",
    "Dropout": "In training each element 0 with probability p, the others scaled by 1 / (1 - p). ValueError unless 0 <= p <= 1.",
    "Dropout2d": "Dropout of whole channels (dim 1).",
    "MultiheadAttention": """Attention of num_heads heads between projections of query, key and value, and a projection of what they give.

A call attention(query, key, value, key_padding_mask=None, need_weights=True, attn_mask=None, average_attn_weights=True,
is_causal=False) returns (output, weights), weights being None unless needed: without them it is faster and needs less memory. query is
(L, N, embed_dim), key (S, N, kdim), value (S, N, vdim), N first with batch_first, or all without N. Masks are bool, True where nothing is
seen, or floating, which are added: key_padding_mask (N, S), attn_mask (L, S) or (N * num_heads, L, S). is_causal needs no mask. ValueError
unless num_heads divides embed_dim.""",
    "TransformerEncoderLayer": """Self-attention and a feed-forward block, each added to what it reads and normalised; norm_first puts the
norms before them.

A call layer(src, src_mask=None, src_key_padding_mask=None, is_causal=False) takes the masks of MultiheadAttention. activation is 'relu', 'gelu',
'gelu_tanh', a function or a module. With recompute the outputs of norms and activation are made again in backward instead of being kept.""",
    "TransformerDecoderLayer": """Self-attention, attention to the encoder's output and a feed-forward block.

A call layer(tgt, memory, tgt_mask=None, memory_mask=None, tgt_key_padding_mask=None, memory_key_padding_mask=None, tgt_is_causal=False,
memory_is_causal=False) takes the masks of MultiheadAttention. The arguments of the constructor are those of TransformerEncoderLayer.""",
    "TransformerEncoder": """num_layers copies of a layer, one after the other, and a norm behind them if there is one.

A call encoder(src, mask=None, src_key_padding_mask=None, is_causal=None) hands the masks to each layer. enable_nested_tensor and mask_check
are taken as in PyTorch and change nothing.""",
    "TransformerDecoder": """num_layers copies of a layer, one after the other, and a norm behind them if there is one.

A call decoder(tgt, memory, ...) hands on the masks, which are those of TransformerDecoderLayer.""",
    "Transformer": """An encoder and a decoder (Vaswani et al., Attention Is All You Need, 2017).

A call model(src, tgt, src_mask=None, tgt_mask=None, memory_mask=None, src_key_padding_mask=None, tgt_key_padding_mask=None,
memory_key_padding_mask=None, src_is_causal=None, tgt_is_causal=None, memory_is_causal=False) returns a tensor like tgt. src is (S, N, d_model)
and tgt (T, N, d_model), N first with batch_first. The other arguments of the constructor are those of TransformerEncoderLayer.""",
    "Embedding": "Integers (*) to rows of a table (*, embedding_dim). Row padding_idx starts at 0 and is not trained.",
}


def _by_dims(name, text, shapes=("(N, C, L)", "(N, C, H, W)", "(N, C, D, H, W)")):
    return {f"{name}{dims}d": f"{text} Input {shape}." for dims, shape in zip((1, 2, 3), shapes)}


_SPATIAL = {
    **_by_dims("Conv", "Cross-correlation with weight (out, in / groups, kernel...), plus bias. padding may be 'same' or 'valid'."),
    **_by_dims("ConvTranspose", "The gradient of a convolution by its input, as a layer; output_padding adds at the end."),
    **_by_dims("MaxPool", "The largest element of each window; stride is the kernel's size unless given."),
    **_by_dims("AvgPool", "The mean of each window; stride is the kernel's size unless given."),
    **_by_dims("AdaptiveAvgPool", "Means over as many parts as asked for."),
    **_by_dims("AdaptiveMaxPool", "Maxima over as many parts as asked for."),
    **_by_dims(
        "BatchNorm",
        "Mean 0 and variance 1 of each channel over the batch in training, by running statistics otherwise, then weight and bias. With recompute the "
    "output is made again in backward instead of being kept.",
        ("(N, C) or (N, C, L)", "(N, C, H, W)", "(N, C, D, H, W)"),
    ),
    "BatchNormReLU2d": "relu(BatchNorm2d(input)), or relu(BatchNorm2d(input) + residual), as one op. Input and residual (N, C, H, W).",
    **_by_dims("InstanceNorm", "Mean 0 and variance 1 of each channel of each sample. With track_running_stats, eval mode uses running statistics."),
    "LayerNorm": "Mean 0 and variance 1 over the last dims, whose sizes are normalized_shape, then weight and bias.",
    "RMSNorm": "input / sqrt(mean(input^2) + eps) over the last dims, times weight. With recompute the output is made again in "
    "backward instead of being kept.",
    "GroupNorm": "Mean 0 and variance 1 over num_groups groups of channels (dim 1) and what follows.",
}

_LOSSES = {
    "MSELoss": "(input - target)^2.", "L1Loss": "|input - target|.",
    "SmoothL1Loss": "Squares below beta, absolute values above.", "HuberLoss": "Squares below delta, absolute values above.",
    "CrossEntropyLoss": "Of logits (N, C, ...) and classes (N, ...), or probabilities (N, C, ...).",
    "NLLLoss": "Minus the log-probability of the target class: input (N, C, ...), target (N, ...).",
    "BCELoss": "-(t log p + (1 - t) log(1 - p)) for probabilities p.",
    "BCEWithLogitsLoss": "BCELoss of sigmoid(input), without its rounding; pos_weight multiplies the positive part.",
    "KLDivLoss": "target (log target - input), input in log-probabilities; reduction may be 'batchmean', as the definition has it.",
    "PoissonNLLLoss": "The loss of Poisson counts: e^input - target * input, or with rates instead of their logarithms.",
    "GaussianNLLLoss": "loss(input, target, var): of normal targets with the given variances.",
    "SoftMarginLoss": "log(1 + e^(-t x)) for targets of 1 and -1.",
    "HingeEmbeddingLoss": "x for t = 1, max(0, margin - x) for t = -1.",
    "MarginRankingLoss": "loss(x1, x2, t): max(0, -t (x1 - x2) + margin).",
    "CosineEmbeddingLoss": "loss(x1, x2, t): 1 - cos for t = 1, max(0, cos - margin) for t = -1.",
    "TripletMarginLoss": "loss(anchor, positive, negative): max(0, d(anchor, positive) - d(anchor, negative) + margin).",
}

def text_of(name):
    """The text of a class by its name in taut.nn; '' for an unknown one."""
    if name in _LOSSES:
        return _LOSSES[name] + " `reduction` is 'mean', 'sum' or 'none'."
    for table in (_CONTAINERS, _ACTIVATIONS, _LAYERS, _SPATIAL):
        if name in table:
            return table[name]
    return ""
