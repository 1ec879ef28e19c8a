"""Transformer layers against the same written out in plain ops, on every device."""

import copy
import pickle

import pytest

import taut
import taut.nn.functional as F
import transformer_reference as reference
from taut import nn
from taut.profiler import profile

SEED = 41
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not taut.cuda.is_available(), reason="no GPU"))]
devices = pytest.mark.parametrize("device", DEVICES)
norm_orders = pytest.mark.parametrize("norm_first", [False, True], ids=["norm last", "norm first"])
BATCH, HEADS, SOURCE, TARGET, WIDTH, HIDDEN = 3, 2, 7, 5, 8, 12
TOLERANCE = {taut.float64: 1e-10, taut.float32: 5e-4, taut.bfloat16: 0.1}
SIZES = dict(d_model=WIDTH, nhead=HEADS, dim_feedforward=HIDDEN)


@pytest.fixture(autouse=True)
def _seed():
    taut.manual_seed(SEED)


def filled(module, dtype=taut.float64, device="cpu"):
    """The module with parameters none of which is 0 or 1."""
    module.double()
    with taut.no_grad():
        for name, parameter in module.named_parameters():
            noise = taut.randn(parameter.shape, dtype=taut.float64) * 0.4
            parameter.copy_(noise + 1 if "norm" in name and name.endswith("weight") else noise)
    return module.to(dtype).to(device)


def sequence(length, dtype=taut.float64, device="cpu"):
    return taut.randn(BATCH, length, WIDTH, dtype=taut.float64).to(dtype).to(device).requires_grad_()


def padding(length):
    return taut.arange(length) >= taut.tensor([[length], [4], [1]])


def as_hidden(length, keys, mask=None, padded=None):
    total = taut.zeros(BATCH, 1, length, keys, dtype=taut.float64)
    if mask is not None:
        total = total + reference.added(mask)
    return total if padded is None else total + reference.added(padded).view(BATCH, 1, 1, keys)


def slope(output):
    return taut.linspace(-1, 1, output.numel(), dtype=output.dtype, device=output.device).view(output.shape)


def close(actual, wanted, dtype, what=""):
    scale = max(1.0, wanted.abs().max().item())
    assert actual.dtype is dtype and actual.shape == wanted.shape, what
    difference = (actual.detach().cpu().double() - wanted.detach()).abs().max().item() if wanted.numel() else 0
    assert difference <= TOLERANCE[dtype] * scale, (what, difference)


def compare(module, inputs, run, reference_run):
    """Output and all gradients of run(*inputs) against those of reference_run(weights, *inputs), in float64 on the CPU."""
    dtype = inputs[0].dtype
    weights = {name: p.detach().cpu().double().requires_grad_() for name, p in module.named_parameters()}
    leaves = [x.detach().cpu().double().requires_grad_() for x in inputs]
    wanted, output = reference_run(weights, *leaves), run(*inputs)
    close(output, wanted, dtype, "output")
    grads = taut.autograd.grad((output * slope(output)).sum(), [*inputs, *module.parameters()])
    wanted_grads = taut.autograd.grad((wanted * slope(wanted)).sum(), [*leaves, *weights.values()])
    for name, ours, theirs in zip([*range(len(inputs)), *weights], grads, wanted_grads):
        close(ours, theirs, dtype, name)


ACTIVATIONS = [
    ("relu", reference.relu), ("gelu", reference.gelu), ("gelu_tanh", reference.gelu_tanh), (F.relu, reference.relu), (F.gelu, reference.gelu),
    (nn.ReLU(), reference.relu), (nn.GELU("tanh"), reference.gelu_tanh), (taut.tanh, taut.tanh), (nn.Tanh(), taut.tanh),
    (lambda x: x * taut.sigmoid(x), lambda x: x / (1 + (-x).exp())),
]  # fmt: skip


# Values and gradients -------------------------------------------------------------------------------------------------------


@devices
@norm_orders
@pytest.mark.parametrize("dtype", list(TOLERANCE))
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
def test_encoder_layer(device, norm_first, dtype, bias):
    layer = filled(nn.TransformerEncoderLayer(**SIZES, dropout=0.0, norm_first=norm_first, bias=bias, batch_first=True), dtype, device)
    mask, padded = taut.randn(SOURCE, SOURCE, dtype=taut.float64), padding(SOURCE)
    for given, hidden in (({}, {}), (dict(src_mask=mask, src_key_padding_mask=padded), dict(mask=mask, padded=padded)), (dict(is_causal=True), dict(mask=reference.causal(SOURCE)))):  # fmt: skip
        given = {name: item if item is True else item.to(device) for name, item in given.items()}
        compare(
            layer, [sequence(SOURCE, dtype, device)], lambda x: layer(x, **given),
            lambda weights, x: reference.encoder_layer(weights, HEADS, x, norm_first, hidden=as_hidden(SOURCE, SOURCE, **hidden)),
        )  # fmt: skip


@devices
@norm_orders
@pytest.mark.parametrize("dtype", list(TOLERANCE))
def test_decoder_layer(device, norm_first, dtype):
    layer = filled(nn.TransformerDecoderLayer(**SIZES, dropout=0.0, norm_first=norm_first, activation="gelu", batch_first=True), dtype, device)
    mask, padded, to_memory = padding(TARGET), padding(SOURCE), taut.randn(TARGET, SOURCE, dtype=taut.float64)
    compare(
        layer, [sequence(TARGET, dtype, device), sequence(SOURCE, dtype, device)],
        lambda x, memory: layer(
            x, memory, memory_mask=to_memory.to(device), tgt_key_padding_mask=mask.to(device), memory_key_padding_mask=padded.to(device), tgt_is_causal=True
        ),
        lambda weights, x, memory: reference.decoder_layer(
            weights, HEADS, x, memory, norm_first, reference.gelu, as_hidden(TARGET, TARGET, reference.causal(TARGET), mask),
            as_hidden(TARGET, SOURCE, to_memory, padded),
        ),
    )  # fmt: skip


@pytest.mark.parametrize(("activation", "plain"), ACTIVATIONS)
def test_activations(activation, plain):
    for norm_first in (False, True):
        layer = filled(nn.TransformerEncoderLayer(**SIZES, dropout=0.0, norm_first=norm_first, activation=activation, batch_first=True))
        compare(layer, [sequence(SOURCE)], layer, lambda weights, x: reference.encoder_layer(weights, HEADS, x, norm_first, plain))
        for twin in (copy.deepcopy(layer), nn.TransformerEncoder(layer, 1).layers[0]):
            x = sequence(SOURCE)
            assert taut.equal(twin(x), layer(x)) and type(twin.activation) is type(layer.activation)


@devices
@norm_orders
@pytest.mark.parametrize("activation", ["relu", "gelu_tanh"])
@pytest.mark.parametrize("has_norm", [True, False], ids=["last norm", "no last norm"])
def test_encoder(device, norm_first, activation, has_norm):
    layer = nn.TransformerEncoderLayer(**SIZES, dropout=0.0, norm_first=norm_first, activation=activation, batch_first=True)
    model = filled(nn.TransformerEncoder(layer, 3, nn.LayerNorm(WIDTH) if has_norm else None), taut.float32, device)
    padded, plain = padding(SOURCE), getattr(reference, activation)
    hidden = as_hidden(SOURCE, SOURCE, padded=padded)
    compare(
        model, [sequence(SOURCE, taut.float32, device)], lambda x: model(x, src_key_padding_mask=padded.to(device)),
        lambda weights, x: reference.stack(weights, lambda own, y: reference.encoder_layer(own, HEADS, y, norm_first, plain, hidden), x),
    )  # fmt: skip


@devices
@norm_orders
@pytest.mark.parametrize("dtype", [taut.float64, taut.float32])
def test_transformer(device, norm_first, dtype):
    model = nn.Transformer(WIDTH, HEADS, 2, 2, HIDDEN, 0.0, activation="gelu", norm_first=norm_first, batch_first=True)
    model = filled(model, dtype, device)
    padded = padding(SOURCE)
    run = lambda src, tgt: model(  # noqa: E731
        src, tgt, tgt_mask=model.generate_square_subsequent_mask(TARGET, dtype=dtype, device=device),
        src_key_padding_mask=padded.to(device), memory_key_padding_mask=padded.to(device),
    )  # fmt: skip
    compare(
        model, [sequence(SOURCE, dtype, device), sequence(TARGET, dtype, device)], run,
        lambda weights, src, tgt: reference.transformer(
            weights, HEADS, src, tgt, norm_first, reference.gelu, as_hidden(SOURCE, SOURCE, padded=padded),
            as_hidden(TARGET, TARGET, reference.causal(TARGET)), as_hidden(TARGET, SOURCE, padded=padded),
        ),
    )  # fmt: skip


@norm_orders
def test_second_derivatives(norm_first):
    layer = nn.TransformerDecoderLayer(4, 2, 6, 0.0, activation="gelu", norm_first=norm_first, dtype=taut.float64)
    x, memory = (taut.randn(n, 2, 4, dtype=taut.float64, requires_grad=True) for n in (2, 3))
    assert taut.autograd.gradcheck(lambda x, memory: layer(x, memory, tgt_is_causal=True), (x, memory))
    assert taut.autograd.gradgradcheck(lambda x, memory: layer(x, memory, tgt_is_causal=True), (x, memory))


@norm_orders
def test_the_batch_may_be_second_or_missing(norm_first):
    first = filled(nn.Transformer(WIDTH, HEADS, 2, 2, HIDDEN, 0.0, norm_first=norm_first, batch_first=True))
    second = nn.Transformer(WIDTH, HEADS, 2, 2, HIDDEN, 0.0, norm_first=norm_first, dtype=taut.float64)
    second.load_state_dict(first.state_dict())
    src, tgt, padded = sequence(SOURCE), sequence(TARGET), padding(SOURCE)
    right = first(src, tgt, src_key_padding_mask=padded, tgt_is_causal=True)
    other = second(src.transpose(0, 1), tgt.transpose(0, 1), src_key_padding_mask=padded, tgt_is_causal=True)
    assert taut.allclose(other.transpose(0, 1), right, rtol=1e-11, atol=1e-11)
    alone = first(src[1], tgt[1], src_key_padding_mask=padded[1], tgt_is_causal=True)
    assert alone.shape == (TARGET, WIDTH) and taut.allclose(alone, right[1], rtol=1e-11, atol=1e-11)


@devices
def test_empty_batches(device):
    model = nn.Transformer(WIDTH, HEADS, 1, 1, HIDDEN, device=device)
    output = model(taut.randn(SOURCE, 0, WIDTH, device=device), taut.randn(TARGET, 0, WIDTH, device=device), tgt_is_causal=True)
    assert output.shape == (TARGET, 0, WIDTH)
    output.sum().backward()
    assert all((parameter.grad == 0).all() for parameter in model.parameters())


# Training ---------------------------------------------------------------------------------------------------------------------


@devices
@norm_orders
def test_dropout(device, norm_first):
    model = nn.Transformer(WIDTH, HEADS, 2, 2, HIDDEN, 0.3, norm_first=norm_first, device=device)
    src, tgt = taut.randn(SOURCE, BATCH, WIDTH, device=device), taut.randn(TARGET, BATCH, WIDTH, device=device)
    draws = []
    for seed in (1, 1, 2):
        taut.manual_seed(seed)
        draws.append(model(src, tgt))
    assert taut.equal(draws[0], draws[1]) and not taut.allclose(draws[0], draws[2])
    model.eval()
    still = model(src, tgt)
    assert taut.equal(still, model(src, tgt))
    model.train()
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if isinstance(module, nn.MultiheadAttention):
            module.dropout = 0.0
    assert taut.equal(model(src, tgt), still)


@norm_orders
def test_dropout_is_pytorchs(norm_first):
    """The same numbers as from the ops one by one, with the same seed."""
    layer = filled(nn.TransformerEncoderLayer(**SIZES, dropout=0.4, norm_first=norm_first, activation="gelu", batch_first=True))
    x = sequence(SOURCE)

    def attend(y):
        return layer.dropout1(layer.self_attn(y, y, y, need_weights=False)[0])

    def feed(y):
        return layer.dropout2(layer.linear2(layer.dropout(F.gelu(layer.linear1(y)))))

    taut.manual_seed(7)
    output = layer(x)
    taut.manual_seed(7)
    if norm_first:
        y = x + attend(layer.norm1(x))
        expected = y + feed(layer.norm2(y))
    else:
        y = layer.norm1(x + attend(x))
        expected = layer.norm2(y + feed(y))
    assert taut.allclose(output, expected, rtol=1e-12, atol=1e-12)


@devices
@norm_orders
def test_autocast(device, norm_first):
    model = filled(nn.Transformer(WIDTH, HEADS, 2, 2, HIDDEN, 0.0, activation="gelu_tanh", norm_first=norm_first, batch_first=True), taut.float32, device)
    src, tgt = sequence(SOURCE, taut.float32, device), sequence(TARGET, taut.float32, device)
    plain = model(src, tgt, tgt_is_causal=True)
    with taut.autocast(device, taut.bfloat16):
        output = model(src, tgt, tgt_is_causal=True)
    assert output.dtype is taut.float32 and 0 < (output - plain).abs().max() < 0.15 * plain.abs().max()
    output.sum().backward()
    assert all(parameter.grad.dtype is taut.float32 for parameter in model.parameters())


@devices
@norm_orders
@pytest.mark.parametrize("activation", ["gelu", nn.GELU(recompute=False)], ids=["name", "module"])
def test_recompute_holds_less_and_changes_no_bit(device, norm_first, activation):
    def run(recompute):
        taut.manual_seed(SEED)
        layer = nn.TransformerEncoderLayer(64, 4, 256, 0.0, activation=activation, norm_first=norm_first, recompute=recompute, device=device)
        model = nn.TransformerEncoder(layer, 2)
        x = taut.randn(32, 16, 64, device=device)
        before = taut.memory_stats(device)["allocated"]
        loss = model(x).square().sum()
        held = taut.memory_stats(device)["allocated"] - before
        loss.backward()
        return held, [parameter.grad for parameter in model.parameters()]

    (held, expected), (less, grads) = run(False), run(True)
    assert all(taut.equal(a, b) for a, b in zip(grads, expected))
    # The hidden layer, and before a sublayer the norm.
    assert held - less >= 2 * 32 * 16 * 4 * (256 + (64 if norm_first else 0)) * 0.95


@devices
def test_a_model_learns(device):
    """To write a sequence backwards."""
    taut.manual_seed(SEED)
    model = nn.Transformer(32, 4, 1, 1, 64, 0.0, norm_first=True, batch_first=True, activation="gelu").to(device)
    token, head = nn.Embedding(11, 32).to(device), nn.Linear(32, 11).to(device)
    place = nn.Parameter(taut.randn(7, 32, device=device) * 0.3)
    optimizer = taut.optim.AdamW([*model.parameters(), *token.parameters(), *head.parameters(), place], lr=3e-3)
    losses = []
    for _ in range(120):
        text = taut.randint(0, 10, (32, 6), device=device)
        backwards = text.flip(1)
        begun = taut.cat([taut.full((32, 1), 10, dtype=taut.int64, device=device), backwards[:, :-1]], 1)
        output = model(token(text) + place[:6], token(begun) + place[:6], tgt_is_causal=True)
        loss = F.cross_entropy(head(output).flatten(0, 1), backwards.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] > 2 and losses[-1] < 0.5 * losses[0]


@pytest.mark.skipif(not taut.cuda.is_available(), reason="no GPU")
def test_a_captured_step_trains_as_a_plain_one():
    def losses_of(wrap):
        taut.manual_seed(SEED)
        model = nn.Transformer(32, 4, 2, 2, 64, 0.1, batch_first=True, norm_first=True, device="cuda")
        optimizer = taut.optim.AdamW(model.parameters(), lr=1e-3)
        padded = padding(SOURCE).cuda()

        def step(src, tgt, wanted):
            optimizer.zero_grad()
            loss = F.mse_loss(model(src, tgt, src_key_padding_mask=padded, memory_key_padding_mask=padded, tgt_is_causal=True), wanted)
            loss.backward()
            optimizer.step()
            return loss.detach()

        batch = [taut.randn(BATCH, length, 32, device="cuda") for length in (SOURCE, TARGET, TARGET)]
        run = wrap(step)
        taut.manual_seed(SEED + 1)
        return [run(*batch).item() for _ in range(8)], run

    plain, _ = losses_of(lambda step: step)
    captured, run = losses_of(taut.cuda.make_graphed)
    assert run.graphs == 1 and run.fallback_reason == ""
    assert captured == pytest.approx(plain, rel=1e-4) and plain[-1] < plain[0]


# Parts ------------------------------------------------------------------------------------------------------------------------


def test_names_are_pytorchs():
    encoder = nn.TransformerEncoderLayer(**SIZES)
    attention = ["in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias"]
    rest = ["linear1", "linear2", "norm1", "norm2"]
    expected = ["self_attn." + name for name in attention] + [f"{name}.{kind}" for name in rest for kind in ("weight", "bias")]
    assert list(encoder.state_dict()) == expected
    assert [name for name, _ in encoder.named_children()] == ["self_attn", "linear1", "dropout", "linear2", "norm1", "norm2", "dropout1", "dropout2"]
    decoder = nn.TransformerDecoderLayer(**SIZES, bias=False, activation=nn.PReLU())
    assert [name for name, _ in decoder.named_children()] == [
        "self_attn", "multihead_attn", "linear1", "dropout", "linear2", "norm1", "norm2", "norm3", "dropout1", "dropout2", "dropout3", "activation",
    ]  # fmt: skip
    assert not any("bias" in name for name in decoder.state_dict()) and "activation.weight" in decoder.state_dict()
    model = nn.Transformer(WIDTH, HEADS, 1, 2, HIDDEN)
    assert list(model.state_dict())[:1] == ["encoder.layers.0.self_attn.in_proj_weight"] and "decoder.norm.bias" in model.state_dict()
    assert len(model.decoder.layers) == model.decoder.num_layers == 2
    assert (model.d_model, model.nhead, model.batch_first) == (WIDTH, HEADS, False)
    assert model.encoder.layers[0].norm1.normalized_shape == (WIDTH,)


def test_initialisation():
    model = nn.Transformer(16, 4, 2, 1, 32)
    for name, parameter in model.named_parameters():
        if parameter.dim() > 1:
            bound = (6 / sum(parameter.shape)) ** 0.5
            assert 0.9 * bound < parameter.abs().max().item() <= bound, name
    assert (model.encoder.layers[0].self_attn.in_proj_bias == 0).all()
    # Copies start alike, and the model draws their matrices anew.
    stack = nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 4, 32), 2)
    assert taut.equal(stack.layers[0].linear1.weight, stack.layers[1].linear1.weight)
    first, second = (layer.linear1.weight for layer in model.encoder.layers)
    assert not taut.equal(first, second)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda made: pickle.loads(pickle.dumps(made))])
@norm_orders
def test_copies(duplicate, norm_first, no_leak):
    model = nn.Transformer(WIDTH, HEADS, 2, 1, HIDDEN, 0.0, activation=taut.tanh, norm_first=norm_first)
    model.decoder.norm = None
    model.encoder.layers[1].activation = nn.SiLU()
    model.encoder.layers[1].norm1.eps = 0.1
    random_state = taut.get_rng_state()
    twin = duplicate(model)
    assert taut.equal(taut.get_rng_state(), random_state) and repr(twin) == repr(model) and twin.decoder.norm is None
    assert [name for name, _ in twin.named_parameters()] == [name for name, _ in model.named_parameters()]
    src, tgt = taut.randn(SOURCE, BATCH, WIDTH), taut.randn(TARGET, BATCH, WIDTH)
    before = model(src, tgt)
    assert taut.equal(twin(src, tgt), before)
    with taut.no_grad():
        for parameter in twin.parameters():
            parameter.add_(1)
    assert taut.equal(model(src, tgt), before) and not taut.allclose(twin(src, tgt), before)
    del model, twin, before, src, tgt


def test_layers_of_a_stack_are_independent():
    layer = nn.TransformerEncoderLayer(**SIZES, dropout=0.0)
    stack = nn.TransformerEncoder(layer, 2)
    with taut.no_grad():
        stack.layers[0].linear1.weight.zero_()
    assert layer.linear1.weight.abs().sum() > 0 and stack.layers[1].linear1.weight.abs().sum() > 0
    shorter = copy.deepcopy(stack)
    shorter.layers = nn.ModuleList(stack.layers[:1])
    x = taut.randn(SOURCE, BATCH, WIDTH)
    assert taut.equal(shorter(x), stack.layers[0](x))
    assert stack.norm is None and stack.enable_nested_tensor
    stack.norm = nn.LayerNorm(WIDTH)
    assert taut.allclose(stack(x), stack.norm(stack.layers[1](stack.layers[0](x))))


def test_replaced_parts_are_used():
    class Doubled(nn.Linear):
        def forward(self, x):
            return 2 * super().forward(x)

    class Centred(nn.LayerNorm):
        def forward(self, x):
            return x - x.mean(-1, keepdim=True)

    x = taut.randn(SOURCE, BATCH, WIDTH)
    for norm_first in (False, True):
        layer = nn.TransformerEncoderLayer(**SIZES, dropout=0.0, norm_first=norm_first)
        layer.linear1 = Doubled(WIDTH, HIDDEN)
        layer.norm2 = Centred(WIDTH)
        layer.norm1 = nn.RMSNorm(WIDTH)
        layer.dropout1 = nn.Identity()
        attend = lambda y: layer.self_attn(y, y, y, need_weights=False)[0]  # noqa: E731
        feed = lambda y: layer.linear2(F.relu(2 * F.linear(y, layer.linear1.weight, layer.linear1.bias)))  # noqa: E731
        if norm_first:
            y = x + attend(layer.norm1(x))
            expected = y + feed(layer.norm2(y))
        else:
            y = layer.norm1(x + attend(x))
            expected = layer.norm2(y + feed(y))
        assert taut.allclose(layer(x), expected, atol=1e-6)
        assert taut.allclose(copy.deepcopy(layer)(x), expected, atol=1e-6)
    del layer.linear2
    with pytest.raises(ValueError, match="linear2"):
        layer(x)


def test_attention_of_ones_own_gets_the_arguments_by_name():
    class Watched(nn.MultiheadAttention):
        def forward(self, query, key, value, key_padding_mask=None, need_weights=True, attn_mask=None, **rest):
            self.seen = (key is value, key_padding_mask is not None, need_weights, attn_mask is not None, rest)
            return super().forward(query, key, value, key_padding_mask, need_weights, attn_mask, **rest)

    x, memory, padded = taut.randn(TARGET, BATCH, WIDTH), taut.randn(SOURCE, BATCH, WIDTH), padding(SOURCE)
    layer = nn.TransformerDecoderLayer(**SIZES, dropout=0.0)
    expected = layer(x, memory, memory_key_padding_mask=padded, tgt_is_causal=True)
    for name in ("self_attn", "multihead_attn"):
        own = Watched(WIDTH, HEADS)
        own.load_state_dict(getattr(layer, name).state_dict())
        setattr(layer, name, own)
    assert taut.allclose(layer(x, memory, memory_key_padding_mask=padded, tgt_is_causal=True), expected, atol=1e-6)
    assert layer.self_attn.seen == (True, False, False, False, {"is_causal": True})
    assert layer.multihead_attn.seen == (True, True, False, False, {"is_causal": False})


def test_hooks_of_parts_run():
    layer = nn.TransformerEncoderLayer(**SIZES, dropout=0.0)
    x = taut.randn(SOURCE, BATCH, WIDTH)
    expected = layer(x, is_causal=True)
    seen = []
    for name, child in layer.named_children():
        child.register_forward_hook(lambda module, args, output, name=name: seen.append(name))
    shown = []
    layer.self_attn.register_forward_hook(lambda module, args, kwargs, output: shown.append((len(args), kwargs, output)), with_kwargs=True)
    assert taut.allclose(layer(x, is_causal=True), expected, atol=1e-6)
    assert seen == ["self_attn", "dropout1", "norm1", "linear1", "dropout", "linear2", "dropout2", "norm2"]
    inputs, kwargs, output = shown[0]
    assert inputs == 3 and kwargs == dict(attn_mask=None, key_padding_mask=None, is_causal=True, need_weights=False) and output[1] is None
    stack = nn.TransformerEncoder(layer, 2)
    calls = []
    stack.layers[1].register_forward_hook(lambda module, args, kwargs, output: calls.append(sorted(kwargs)), with_kwargs=True)
    stack(x)
    assert calls == [["is_causal", "src_key_padding_mask", "src_mask"]]


def test_neighbours_are_one_op():
    def ops_of(model, x):
        with profile() as prof:
            model(x)
        events = prof.events()
        return [event.name for event in events if event.kind == "op"], [event.name for event in events if event.kind == "module"]

    x = taut.randn(SOURCE, BATCH, WIDTH)
    first = nn.TransformerEncoder(nn.TransformerEncoderLayer(**SIZES, dropout=0.0, norm_first=True), 3, nn.LayerNorm(WIDTH))
    ops, modules = ops_of(first, x)
    # The first norm stands alone; every other one is made with a sum.
    assert (ops.count("layer_norm"), ops.count("add_layer_norm"), ops.count("add"), ops.count("mlp")) == (1, 6, 0, 3)
    assert ops.count("scaled_dot_product_attention") in (0, 3) and ops.count("dropout") == 0
    assert modules[:4] == ["TransformerEncoder", *(f"TransformerEncoder.layers.0{path}" for path in ("", ".norm1", ".self_attn"))]
    last = nn.TransformerEncoder(nn.TransformerEncoderLayer(**SIZES, dropout=0.0), 3)
    ops, _ = ops_of(last, x)
    assert (ops.count("layer_norm"), ops.count("add_layer_norm"), ops.count("add"), ops.count("mlp")) == (0, 6, 0, 3)
    dropping = nn.TransformerEncoder(nn.TransformerEncoderLayer(**SIZES, dropout=0.5), 3)
    ops, _ = ops_of(dropping, x)
    assert (ops.count("dropout_add"), ops.count("layer_norm"), ops.count("add"), ops.count("mlp")) == (6, 6, 0, 0)


def test_layers_of_ones_own():
    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(WIDTH, WIDTH)
            self.seen = []

        def forward(self, src, src_mask=None, src_key_padding_mask=None, is_causal=None):
            self.seen = [src_mask is not None, src_key_padding_mask is not None, is_causal]
            return self.linear(src)

    class Returns(nn.Module):
        def __init__(self, given):
            super().__init__()
            self.given = given

        def forward(self, src, **masks):
            return self.given

    class Halved(nn.TransformerEncoderLayer):
        def forward(self, src, **masks):
            return super().forward(src, **masks) / 2

    x, mask = taut.randn(SOURCE, BATCH, WIDTH), taut.randn(SOURCE, SOURCE)
    stack = nn.TransformerEncoder(Layer(), 2)
    expected = stack.layers[1].linear(stack.layers[0].linear(x))
    assert taut.equal(stack(x, mask, is_causal=True), expected) and stack.layers[1].seen == [True, False, True]
    halved = nn.TransformerEncoder(Halved(**SIZES, dropout=0.0, norm_first=True), 2)
    first, second = halved.layers
    expected = second(first(x, src_mask=mask), src_mask=mask)
    assert taut.allclose(halved(x, mask), expected, atol=1e-6)
    plain = nn.TransformerEncoder(nn.TransformerEncoderLayer(**SIZES, dropout=0.0, norm_first=True), 2)
    plain.load_state_dict(halved.state_dict())
    assert taut.allclose(first(x, src_mask=mask) * 2, plain.layers[0](x, src_mask=mask), atol=1e-6)
    model = nn.Transformer(WIDTH, HEADS, 1, 1, HIDDEN, custom_encoder=nn.TransformerEncoder(Layer(), 1), dropout=0.0)
    assert model(x, x).shape == x.shape
    with pytest.raises(TypeError):
        nn.TransformerEncoder(nn.Linear(WIDTH, WIDTH), 1)(x)
    for given, words in (((3, x), "got a int"), ((), "expected a tensor"), ((None, x), "expected a tensor"), ("a", "got a str")):
        with pytest.raises((TypeError, ValueError), match=words):
            nn.TransformerEncoder(Returns(given), 1)(x)


def test_activation_is_an_attribute():
    layer = nn.TransformerEncoderLayer(**SIZES, dropout=0.0)
    assert layer.activation is F.relu
    x = taut.randn(SOURCE, BATCH, WIDTH)
    outputs = []
    for activation in ("gelu", nn.SiLU(), taut.tanh, "relu"):
        layer.activation = activation
        outputs.append(layer(x))
    assert layer.activation is F.relu and "activation" not in dict(layer.named_children())
    assert not any(taut.equal(a, b) for a, b in zip(outputs, outputs[1:]))
    with pytest.raises(ValueError, match="'swoosh'"):
        layer.activation = "swoosh"
    layer.activation = lambda y: 3
    with pytest.raises(TypeError, match="activation must return a tensor; got a int"):
        layer(x)
    with pytest.raises(ValueError, match="'swoosh'"):
        nn.Transformer(WIDTH, HEADS, activation="swoosh")
    with pytest.raises(TypeError, match="3"):
        nn.TransformerDecoderLayer(**SIZES, activation=3)


def test_an_activation_may_belong_to_the_model():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.slope = nn.Parameter(taut.ones(1))
            self.layer = nn.TransformerEncoderLayer(**SIZES, activation=self.scaled)

        def scaled(self, x):
            return self.slope * x

    model = Model()
    model.layer(taut.randn(SOURCE, BATCH, WIDTH)).sum().backward()
    assert model.slope.grad is not None
    twin = copy.deepcopy(model)
    twin.layer(taut.randn(SOURCE, BATCH, WIDTH)).sum().backward()
    assert twin.slope.grad is not None and twin.layer.activation.__self__ is twin


def test_masks():
    mask = nn.Transformer.generate_square_subsequent_mask(3)
    assert mask.tolist() == [[0, -reference.INFINITY, -reference.INFINITY], [0, 0, -reference.INFINITY], [0, 0, 0]]
    assert nn.Transformer.generate_square_subsequent_mask(2, dtype=taut.float64).dtype is taut.float64
    assert nn.Transformer.generate_square_subsequent_mask(0).shape == (0, 0)


def test_errors():
    x = taut.randn(SOURCE, BATCH, WIDTH)
    with pytest.raises(ValueError, match="10 and 3"):
        nn.TransformerEncoderLayer(10, 3)
    with pytest.raises(ValueError, match="-1"):
        nn.TransformerEncoderLayer(8, 2, dim_feedforward=-1)
    with pytest.raises(ValueError, match="1.5"):
        nn.TransformerEncoderLayer(8, 2, dropout=1.5)
    layer = nn.TransformerEncoderLayer(**SIZES)
    with pytest.raises(RuntimeError, match=r"\(6, 6\); expected \(7, 7\)"):
        layer(x, taut.zeros(6, 6))
    with pytest.raises(TypeError, match="int64"):
        layer(x, src_key_padding_mask=taut.zeros(BATCH, SOURCE, dtype=taut.int64))
    with pytest.raises(RuntimeError, match="6"):
        layer(x[..., :6])
    with pytest.raises(TypeError, match="mask"):
        layer(x, mask=None)
    model = nn.Transformer(WIDTH, HEADS, 1, 1, HIDDEN)
    with pytest.raises(RuntimeError, match=r"one batch size.*\(7, 3, 8\) and \(7, 2, 8\)"):
        model(x, x[:, :2])
    with pytest.raises(RuntimeError, match="8 features"):
        model(x, x[..., :4])
    with pytest.raises(RuntimeError, match="dims"):
        model(x[0, 0], x[0, 0])
