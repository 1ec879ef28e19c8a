"""Wrong calls as a new user makes them: which exception comes, and that its message holds the values that are wrong."""

import re

import pytest

import taut
import taut.linalg
import taut.nn.functional as F

x = taut.arange(6.0).view(2, 3)
v = taut.arange(3.0)
i = taut.tensor([0, 1])


def attend(query, key, value, embed_dim, heads, bias_k=None, **options):
    weight = taut.zeros(9, 3)
    return F.multi_head_attention_forward(
        query, key, value, embed_dim, heads, weight, None, bias_k, None, False, 0.0, weight[:3], None, **options
    )


attention = taut.nn.functional.scaled_dot_product_attention
image = taut.zeros(1, 3, 5, 5)
NAN = float("nan")

# Each row: the call, the exception, and what the message must say.
ROWS = [
    # Shapes that do not fit together.
    (lambda: x + taut.zeros(2), RuntimeError, ["add", "(2, 3)", "(2,)"]),
    (lambda: taut.maximum(x, taut.zeros(4, 3)), RuntimeError, ["maximum", "(2, 3)", "(4, 3)"]),
    (lambda: taut.where(taut.zeros(4, dtype=taut.bool), x, x), RuntimeError, ["(4,)", "(2, 3)"]),
    (lambda: x.view(4, 2), RuntimeError, ["view", "(4, 2)", "6"]),
    (lambda: x.reshape(4, -1), RuntimeError, ["reshape", "(4, -1)", "6"]),
    (lambda: x.reshape(-1, -1), RuntimeError, ["(-1, -1)"]),
    (lambda: x.view(-2, 3), RuntimeError, ["(-2, 3)"]),
    (lambda: x.t().view(6), RuntimeError, ["view", "(3, 2)", "reshape"]),
    (lambda: x.expand(4, 3), RuntimeError, ["expand", "(4, 3)", "(2, 3)"]),
    (lambda: x.expand(3), RuntimeError, ["expand", "(3,)", "(2, 3)"]),
    (lambda: x.permute(0, 0), RuntimeError, ["permute", "(0, 0)"]),
    (lambda: x.permute(0), RuntimeError, ["permute", "1 dims", "(2, 3)"]),
    (lambda: taut.cat([x, taut.zeros(2, 2)]), RuntimeError, ["cat", "(2, 3)", "(2, 2)"]),
    (lambda: taut.stack([x, v]), RuntimeError, ["stack", "(2, 3)", "(3,)"]),
    (lambda: taut.cat([]), (RuntimeError, ValueError), ["cat"]),
    (lambda: taut.stack([]), (RuntimeError, ValueError), ["stack"]),
    (lambda: x.squeeze(2), IndexError, ["squeeze", "2"]),
    (lambda: x.unflatten(1, (2, 2)), RuntimeError, ["(2, 2)", "3"]),
    (lambda: x.split([1, 2]), (RuntimeError, ValueError), ["split", "3", "2"]),
    (lambda: x.split(-1), (RuntimeError, ValueError), ["split", "-1"]),
    (lambda: x.chunk(0), (RuntimeError, ValueError), ["chunk", "0"]),
    (lambda: taut.hstack([x, taut.zeros(3, 3)]), RuntimeError, ["(2, 3)", "(3, 3)"]),
    (lambda: x.repeat(2), RuntimeError, ["repeat", "(2,)"]),
    (lambda: x.repeat(-1, 2), RuntimeError, ["repeat", "-1"]),
    (lambda: attention(x.int(), x.int(), x.int()), TypeError, ["scaled_dot_product_attention", "int32"]),
    (lambda: attention(x, x.double(), x), TypeError, ["scaled_dot_product_attention", "float32", "float64"]),
    (lambda: attention(x, x, x, taut.ones(1, 1, 2, 2) > 0), RuntimeError, ["(1, 1, 2, 2)", "(2, 2)"]),
    (lambda: attention(x, x, x, taut.ones(2, 3)), RuntimeError, ["scaled_dot_product_attention", "(2, 3)", "(2, 2)"]),
    (lambda: attention(x, x, x, taut.ones(2, 2).int()), TypeError, ["mask", "int32"]),
    (lambda: attention(x, x, x, dropout_p=1.5), ValueError, ["dropout_p", "1.5"]),
    (lambda: taut.addmm(taut.zeros(5), x, x.t(), beta=0), RuntimeError, ["addmm", "(5,)", "(2, 2)"]),
    (lambda: taut.addmm(taut.zeros(3, 2, 2), x, x.t()), RuntimeError, ["addmm", "(3, 2, 2)", "(2, 2)"]),
    (lambda: taut.broadcast_tensors(x, taut.zeros(4)), RuntimeError, ["(2, 3)", "(4,)"]),
    # Matrices.
    (lambda: x @ x, RuntimeError, ["matmul", "(2, 3)", "3 == 2"]),
    (lambda: x @ taut.tensor(1.0), RuntimeError, ["matmul"]),
    (lambda: taut.mm(x, v), RuntimeError, ["mm", "(3,)"]),
    (lambda: taut.bmm(x, x), RuntimeError, ["bmm", "(2, 3)"]),
    (lambda: taut.mv(x, taut.zeros(2)), RuntimeError, ["(2, 3)", "(2,)"]),
    (lambda: taut.dot(v, taut.zeros(4)), RuntimeError, ["dot", "3", "4"]),
    (lambda: taut.dot(x, x), RuntimeError, ["dot", "(2, 3)"]),
    (lambda: taut.matmul(x, i), (RuntimeError, TypeError), ["float32", "int64"]),
    (lambda: taut.einsum("ij,kl->ijk", x, v), (RuntimeError, ValueError), ["einsum"]),
    (lambda: taut.einsum("ij,ij->k", x, x), (RuntimeError, ValueError), ["einsum", "k"]),
    (lambda: taut.einsum("ij,ij", x, x.t()), RuntimeError, ["einsum", "2", "3"]),
    (lambda: taut.tensordot(x, x, 1), RuntimeError, ["tensordot", "(2, 3)"]),
    (lambda: taut.outer(x, v), RuntimeError, ["outer", "(2, 3)"]),
    (lambda: taut.cross(x, taut.zeros(2, 4)), RuntimeError, ["cross", "(2, 4)"]),
    (lambda: taut.linalg.matrix_power(x, 2), RuntimeError, ["(2, 3)"]),
    (lambda: F.linear(x, taut.zeros(4, 2)), RuntimeError, ["linear", "(2, 3)", "(4, 2)"]),
    (lambda: F.linear(x, taut.zeros(4, 3), taut.zeros(3)), RuntimeError, ["linear", "(3,)", "4"]),
    (lambda: F.mlp(x, taut.zeros(4, 2), taut.zeros(5, 4)), RuntimeError, ["mlp", "weight1", "(4, 2)", "3"]),
    (lambda: F.mlp(x, taut.zeros(4, 3), taut.zeros(5, 3)), RuntimeError, ["mlp", "weight2", "(5, 3)", "4"]),
    (lambda: F.mlp(x, taut.zeros(4, 3), taut.zeros(5, 4), taut.zeros(5)), RuntimeError, ["mlp", "bias1", "(5,)", "(4,)"]),
    (lambda: F.mlp(i, i, i), TypeError, ["mlp", "int64"]),
    (lambda: F.mlp(x, x, x, activation="tanh"), ValueError, ["mlp", "tanh", "gelu_tanh"]),
    # Dims and indices out of range.
    (lambda: x.sum(2), IndexError, ["sum", "2", "-2..1"]),
    (lambda: x.mean((0, 5)), IndexError, ["mean", "5"]),
    (lambda: x.sum((0, 0)), RuntimeError, ["sum", "0"]),
    (lambda: x.softmax(-3), IndexError, ["softmax", "-3"]),
    (lambda: x.cumsum(7), IndexError, ["cumsum", "7"]),
    (lambda: x.transpose(0, 2), IndexError, ["transpose", "2"]),
    (lambda: x.unsqueeze(4), IndexError, ["unsqueeze", "4"]),
    (lambda: taut.cat([x, x], 2), IndexError, ["cat", "2"]),
    (lambda: x.size(2), IndexError, ["2"]),
    (lambda: x.flatten(1, 0), (RuntimeError, ValueError), ["flatten", "1", "0"]),
    (lambda: x.sort(3), IndexError, ["sort", "3"]),
    (lambda: x.argmax(-4), IndexError, ["argmax", "-4"]),
    (lambda: x.flip(2), IndexError, ["flip", "2"]),
    (lambda: x.select(0, 2), IndexError, ["select", "2"]),
    (lambda: x.narrow(1, 2, 2), (IndexError, RuntimeError, ValueError), ["narrow", "2", "3"]),
    (lambda: x[2], IndexError, ["2"]),
    (lambda: x[0, 3], IndexError, ["3"]),
    (lambda: x[0, 0, 0], IndexError, ["3", "2"]),
    (lambda: x[taut.tensor([0, 5])], IndexError, ["5", "2"]),
    (lambda: x[taut.tensor([True, False, True])], IndexError, ["(3,)", "(2, 3)"]),
    (lambda: x[0.5], (TypeError, IndexError), ["float"]),
    (lambda: x["a"], (TypeError, IndexError), ["str"]),
    (lambda: x[::-1], ValueError, ["step", "-1"]),
    (lambda: x.index_select(0, taut.tensor([0, 2])), IndexError, ["index_select", "2"]),
    (lambda: x.index_select(0, taut.tensor([0.0])), (TypeError, RuntimeError), ["float32"]),
    (lambda: x.gather(1, taut.tensor([[0, 3]])), IndexError, ["gather", "3"]),
    (lambda: x.gather(1, taut.tensor([0])), RuntimeError, ["gather", "(1,)", "(2, 3)"]),
    (lambda: x.scatter(1, taut.tensor([[-1]]), 1.0), IndexError, ["scatter", "-1"]),
    (lambda: x.scatter(1, taut.tensor([[0, 1]]), taut.zeros(1, 1)), RuntimeError, ["scatter", "(1, 2)", "(1, 1)"]),
    (lambda: x.scatter(1, taut.tensor([[0]]), taut.zeros(1, 1), reduce="max"), (ValueError, RuntimeError), ["max"]),
    (lambda: x.scatter_reduce(1, taut.tensor([[0]]), x, "median"), (ValueError, RuntimeError), ["median"]),
    (lambda: x.index_add(0, taut.tensor([2]), taut.zeros(1, 3)), IndexError, ["index_add", "2"]),
    (lambda: x.index_add(0, taut.tensor([0]), taut.zeros(2, 3)), (RuntimeError, ValueError), ["index_add"]),
    (lambda: x.take(taut.tensor([6])), IndexError, ["6", "size 6"]),
    (lambda: x.take(taut.tensor([-7])), IndexError, ["-7", "size 6"]),
    (lambda: x.masked_fill(v, 0.0), (TypeError, RuntimeError), ["masked_fill", "bool", "float32"]),
    (lambda: x.masked_select(taut.zeros(4, dtype=taut.bool)), RuntimeError, ["(4,)", "(2, 3)"]),
    (lambda: x.masked_scatter(x > 0, taut.zeros(1)), RuntimeError, ["masked_scatter", "5", "1"]),
    (lambda: x.clone().masked_scatter_(x > 0, taut.zeros(1)), RuntimeError, ["masked_scatter_:", "5", "1"]),
    (lambda: x.clone().masked_scatter_(x, taut.zeros(6)), (TypeError, RuntimeError), ["masked_scatter_:", "bool", "float32"]),
    (lambda: x.clone().masked_scatter_(x > 0, i), (TypeError, RuntimeError), ["masked_scatter_:", "int64", "float32"]),
    (lambda: x.clone().masked_scatter_(taut.ones(4, 1, 3) > 0, taut.zeros(12)), RuntimeError, ["masked_scatter_:", "(4, 1, 3)"]),
    (lambda: x.topk(4), (RuntimeError, ValueError, IndexError), ["topk", "4", "3"]),
    (lambda: x.kthvalue(0), (RuntimeError, ValueError, IndexError), ["kthvalue", "0"]),
    (lambda: x.diagonal(0, 1, 1), RuntimeError, ["diagonal", "1"]),
    (lambda: x.as_strided((3, 3), (3, 1)), (ValueError, RuntimeError), ["(3, 3)", "(3, 1)", "6"]),
    (lambda: F.embedding(taut.tensor([0, 9]), x), IndexError, ["embedding", "9", "2"]),
    (lambda: F.embedding(taut.tensor([-1]), x), IndexError, ["embedding", "-1"]),
    (lambda: F.embedding(v, x), (TypeError, RuntimeError), ["embedding", "float32"]),
    (lambda: F.one_hot(taut.tensor([3]), 2), (ValueError, RuntimeError), ["one_hot", "3", "0..1"]),
    (lambda: F.one_hot(taut.tensor([-1])), (ValueError, RuntimeError), ["one_hot", "-1"]),
    (lambda: taut.bincount(taut.tensor([-2])), (ValueError, RuntimeError), ["bincount", "-2"]),
    # Empty tensors that have no answer.
    (lambda: taut.zeros(0).max(), (ValueError, RuntimeError, IndexError), ["max", "(0,)"]),
    (lambda: taut.zeros(0).argmax(), (ValueError, RuntimeError, IndexError), ["argmax"]),
    (lambda: taut.zeros(0, 3).amin(0), (ValueError, RuntimeError, IndexError), ["amin", "(0, 3)"]),
    (lambda: taut.zeros(2, 0).median(1), (ValueError, RuntimeError, IndexError), ["median", "(2, 0)"]),
    (lambda: taut.zeros(0).item(), RuntimeError, ["item", "(0,)"]),
    (lambda: x.item(), RuntimeError, ["item", "(2, 3)"]),
    (lambda: bool(x), RuntimeError, ["(2, 3)"]),
    (lambda: int(x), (RuntimeError, TypeError), ["(2, 3)"]),
    # Dtypes.
    (lambda: taut.bitwise_and(x, x), (TypeError, RuntimeError), ["bitwise_and", "float32"]),
    (lambda: x << 1, (TypeError, RuntimeError), ["float32"]),
    (lambda: ~x, (TypeError, RuntimeError), ["float32"]),
    (lambda: i.mean(), (TypeError, RuntimeError), ["mean", "int64"]),
    (lambda: i.var(), (TypeError, RuntimeError), ["var", "int64"]),
    (lambda: -taut.tensor([True]), (TypeError, RuntimeError), ["bool"]),
    (lambda: taut.tensor([True]) - taut.tensor([True]), (TypeError, RuntimeError), ["bool"]),
    (lambda: i.clone().add_(0.5), (TypeError, RuntimeError), ["add_", "int64"]),
    (lambda: i.clone().exp_(), (TypeError, RuntimeError), ["exp_", "int64"]),
    (lambda: i.requires_grad_(), RuntimeError, ["int64"]),
    (lambda: taut.rand(2, dtype=taut.int64), (TypeError, RuntimeError), ["int64"]),
    (lambda: taut.gcd(x, x), (TypeError, RuntimeError), ["gcd", "float32"]),
    (
        lambda: F.conv2d(image, taut.zeros(2, 3, 3, 3, dtype=taut.float64)),
        (TypeError, RuntimeError),
        ["float32", "float64"],
    ),
    (lambda: F.elu(taut.tensor([-1, 2]), inplace=True), TypeError, ["inplace", "float32", "int64"]),
    (lambda: taut.searchsorted(taut.arange(3.0), taut.ones(1), side="middle"), ValueError, ["side", "middle"]),
    (lambda: taut.searchsorted(taut.arange(3.0), 1.0, side="left", right=True), ValueError, ["side", "left"]),
    # Numbers that make no sense.
    (lambda: taut.zeros(-1), (RuntimeError, ValueError), ["zeros", "-1"]),
    (lambda: taut.zeros(2**62, 2**62), (RuntimeError, ValueError), ["zeros"]),
    (lambda: taut.zeros(2**50), MemoryError, [str(2**50)]),
    (lambda: taut.rand(2**62), MemoryError, [str(2**60)]),
    (lambda: taut.randperm(2**62), MemoryError, [str(2**62)]),
    (lambda: taut.zeros(1).expand(2**40).outer(taut.zeros(1).expand(2**40)), MemoryError, [str(2**40)]),
    (lambda: v.as_strided((5,), (2**62,)), ValueError, ["as_strided", "(5,)", str(2**62)]),
    (lambda: taut.empty_strided((5,), (2**62,)), ValueError, ["empty_strided", "(5,)", str(2**62)]),
    (lambda: taut.tril_indices(2**45, 4), ValueError, ["tril_indices", str(2**45)]),
    (lambda: F.max_pool1d(image[0, 0], 2, 2**62), ValueError, ["max_pool1d", "stride", str(2**62)]),
    (lambda: F.unfold(image.char(), 2), (TypeError, RuntimeError), ["unfold", "int8"]),
    (lambda: F.fold(taut.zeros(12, 9, dtype=taut.int8), 4, 2), (TypeError, RuntimeError), ["fold", "int8"]),
    (lambda: taut.arange(0, 5, 0), (RuntimeError, ValueError), ["arange", "0"]),
    (lambda: taut.arange(0, 5, -1), (RuntimeError, ValueError), ["arange", "-1"]),
    (lambda: taut.arange(NAN), (RuntimeError, ValueError), ["arange", "nan"]),
    (lambda: taut.linspace(0, 1, -1), (RuntimeError, ValueError), ["linspace", "-1"]),
    (lambda: taut.eye(-1), (RuntimeError, ValueError), ["eye", "-1"]),
    (lambda: taut.randperm(-1), (RuntimeError, ValueError), ["randperm", "-1"]),
    (lambda: taut.randint(3, 3, (2,)), (RuntimeError, ValueError), ["randint", "3"]),
    (lambda: taut.normal(0.0, -1.0, (2,)), (RuntimeError, ValueError), ["normal", "-1"]),
    (lambda: taut.bernoulli(taut.tensor([1.5])), (RuntimeError, ValueError), ["bernoulli", "1.5"]),
    (lambda: taut.bernoulli(taut.tensor([NAN])), (RuntimeError, ValueError), ["bernoulli", "nan"]),
    (lambda: taut.multinomial(taut.tensor([1.0, -1.5]), 1), ValueError, ["multinomial", "negative", "-1.5", "(1,)"]),
    (lambda: taut.multinomial(taut.tensor([[1.0, 2.0], [NAN, 1.0]]), 1), ValueError, ["finite", "nan", "(1, 0)"]),
    (lambda: taut.multinomial(taut.tensor([1.0, float("inf")]), 1), ValueError, ["finite", "inf", "(1,)"]),
    (lambda: taut.multinomial(taut.tensor([[1.0, 2.0], [0.0, 0.0]]), 1), ValueError, ["row 1", "all 0"]),
    (lambda: taut.multinomial(taut.tensor([0.0, 0.0]), 1), ValueError, ["multinomial", "2 weights", "all 0"]),
    (lambda: taut.multinomial(taut.zeros(2, 0), 1, True), ValueError, ["multinomial", "(2, 0)"]),
    (lambda: taut.multinomial(taut.tensor([1.0, 2.0]), 3), (RuntimeError, ValueError), ["multinomial", "3", "2"]),
    (lambda: F.dropout(x, 1.5), (RuntimeError, ValueError), ["dropout", "1.5"]),
    (lambda: F.swiglu(x, taut.zeros(3)), RuntimeError, ["swiglu", "(3,)", "(2, 3)"]),
    (lambda: F.swiglu(x), RuntimeError, ["swiglu", "(2, 3)", "halves"]),
    (lambda: F.swiglu(i, i), TypeError, ["swiglu", "int64"]),
    (lambda: F.geglu(x, x.double()), TypeError, ["geglu", "float64", "float32"]),
    (lambda: F.geglu(x, x, approximate="sin"), ValueError, ["geglu", "sin"]),
    (lambda: F.rotary_tables(4, 3), ValueError, ["rotary_tables", "3"]),
    (lambda: F.rotary_embedding(x, taut.zeros(2, 2), taut.zeros(2, 2)), RuntimeError, ["rotary_embedding", "4", "3"]),
    (lambda: F.rotary_embedding(x, taut.zeros(2, 1), taut.zeros(2, 1), offset=1), ValueError, ["rotary_embedding", "1 to 3", "2"]),
    (lambda: F.rotary_embedding(x, taut.zeros(2, 1), taut.zeros(3, 1)), RuntimeError, ["rotary_embedding", "(2, 1)", "(3, 1)"]),
    (lambda: F.rotary_embedding(x[0], taut.zeros(2, 1), taut.zeros(2, 1)), RuntimeError, ["rotary_embedding", "(3,)"]),
    (
        lambda: F.rotary_embedding(x, taut.zeros(2, 1, requires_grad=True), taut.zeros(2, 1)),
        ValueError,
        ["rotary_embedding", "cos", "detach"],
    ),
    (lambda: F.rotary_qkv(x, x, x, 1), RuntimeError, ["rotary_qkv", "(2, 3)"]),
    (lambda: F.rotary_qkv(taut.zeros(1, 2, 8), x, x, 3), RuntimeError, ["rotary_qkv", "8", "3 + 2 x 3"]),
    (lambda: F.rotary_qkv(taut.zeros(1, 2, 8), x, x, 0), ValueError, ["rotary_qkv", "num_heads", "0"]),
    (lambda: attend(x, x, x, 4, 1), RuntimeError, ["multi_head_attention_forward", "3", "4"]),
    (lambda: attend(x, x, x, 3, 2), ValueError, ["multi_head_attention_forward", "3 and 2"]),
    (lambda: attend(v, v, v, 3, 1), RuntimeError, ["multi_head_attention_forward", "query", "dims"]),
    (lambda: attend(x, x, x, 3, 1, use_separate_proj_weight=True), ValueError, ["multi_head_attention_forward", "q_proj_weight"]),
    (lambda: attend(x, x, x, 3, 1, attn_mask=taut.zeros(2, 3)), RuntimeError, ["attn_mask", "(2, 3)", "(2, 2)"]),
    (lambda: attend(x, x, x, 3, 1, key_padding_mask=taut.zeros(3)), RuntimeError, ["key_padding_mask", "(3,)", "(2,)"]),
    (lambda: attend(x, x, x, 3, 1, bias_k=taut.zeros(1, 1, 3)), ValueError, ["bias_k", "bias_v"]),
    (lambda: F.dropout_add(x, x, 1.5), ValueError, ["dropout_add", "1.5"]),
    (lambda: F.dropout_add(i, i), TypeError, ["dropout_add", "int64"]),
    (lambda: F.dropout_add(x, taut.zeros(4)), RuntimeError, ["dropout_add", "(2, 3)", "(4,)"]),
    (lambda: F.dropout(x, NAN), (RuntimeError, ValueError), ["dropout", "nan"]),
    (lambda: taut.floor_divide(i, 0), ValueError, ["floor_divide", "zero"]),
    (lambda: i // taut.tensor([1, 0]), ValueError, ["floor_divide", "zero"]),
    (lambda: i % 0, ValueError, ["remainder", "zero"]),
    (lambda: 5 % i, ValueError, ["remainder", "zero"]),
    (lambda: taut.fmod(i, taut.tensor(0)), ValueError, ["fmod", "zero"]),
    (lambda: taut.div(i, 0, rounding_mode="floor"), ValueError, ["div", "zero"]),
    (lambda: taut.div(i, i, rounding_mode="trunc"), ValueError, ["div", "zero"]),
    (lambda: taut.div(x, 2, rounding_mode="up"), (ValueError, RuntimeError), ["up"]),
    (lambda: i**-1, ValueError, ["pow", "-1"]),
    (lambda: x.clamp(), ValueError, ["clamp", "min", "max"]),
    (lambda: taut.full((2,), 2**70), OverflowError, []),
    (lambda: x.norm("nuclear"), (ValueError, RuntimeError), ["nuclear"]),
    (lambda: x.repeat_interleave(-1), (ValueError, RuntimeError), ["repeat_interleave", "-1"]),
    (lambda: x.unfold(1, 4, 1), (ValueError, RuntimeError), ["unfold", "4", "3"]),
    (lambda: x.unfold(1, 2, 0), (ValueError, RuntimeError), ["unfold", "0"]),
    (lambda: taut.histc(v, -1), (ValueError, RuntimeError), ["histc", "-1"]),
    (lambda: taut.histc(v, 4, 3, 1), (ValueError, RuntimeError), ["histc", "3", "1"]),
    (lambda: taut.polygamma(-1, v), (ValueError, RuntimeError), ["polygamma", "-1"]),
    (lambda: taut.meshgrid(v, v, indexing="zz"), (ValueError, RuntimeError), ["zz"]),
    # Layers.
    (lambda: F.conv2d(image, taut.zeros(2, 4, 3, 3)), RuntimeError, ["conv2d", "(2, 4, 3, 3)", "(1, 3, 5, 5)"]),
    (lambda: F.conv2d(image, taut.zeros(2, 3, 9, 9)), RuntimeError, ["conv2d", "9", "5"]),
    (lambda: F.conv2d(image, taut.zeros(2, 3, 3, 3), stride=0), (ValueError, RuntimeError), ["stride", "0"]),
    (lambda: F.conv2d(image, taut.zeros(2, 3, 3, 3), padding=-1), (ValueError, RuntimeError), ["padding", "-1"]),
    (lambda: F.conv2d(image, taut.zeros(2, 3, 3, 3), groups=2), (ValueError, RuntimeError), ["groups", "3", "2"]),
    (lambda: F.conv2d(image, taut.zeros(2, 3, 3, 3), taut.zeros(3)), RuntimeError, ["bias", "(3,)", "(2,)"]),
    (lambda: F.conv2d(v, taut.zeros(2, 3, 3, 3)), RuntimeError, ["conv2d", "(3,)"]),
    (lambda: F.max_pool2d(image, 9), RuntimeError, ["max_pool2d", "9"]),
    (lambda: F.max_pool2d(image, 2, padding=2), (ValueError, RuntimeError), ["padding", "2"]),
    (lambda: F.avg_pool2d(image, 0), (ValueError, RuntimeError), ["avg_pool2d", "0"]),
    (lambda: F.layer_norm(x, (4,)), RuntimeError, ["layer_norm", "(4,)", "(2, 3)"]),
    (lambda: F.add_layer_norm(x, x, (4,)), RuntimeError, ["add_layer_norm", "(4,)", "(2, 3)"]),
    (lambda: F.add_layer_norm(x, taut.zeros(2, 4), 3), RuntimeError, ["add_layer_norm", "(2, 3)", "(2, 4)"]),
    (lambda: F.add_layer_norm(x, i, 3), TypeError, ["add_layer_norm", "residual", "int64"]),
    (lambda: F.add_layer_norm(x, x, 3, taut.ones(2)), RuntimeError, ["add_layer_norm", "weight", "(2,)", "(3,)"]),
    (lambda: F.add_rms_norm(i, x, 3), TypeError, ["add_rms_norm", "input", "int64"]),
    (lambda: F.add_rms_norm(x, x, 3, taut.ones(3, dtype=taut.float64)), TypeError, ["add_rms_norm", "weight", "float64"]),
    (lambda: F.batch_norm(x, None, None, training=False), (ValueError, RuntimeError), ["batch_norm"]),
    (lambda: F.batch_norm_relu(taut.zeros(2, 3), taut.zeros(4), taut.ones(4)), ValueError, ["batch_norm_relu: running_mean", "(4,)"]),
    (lambda: F.batch_norm_relu(taut.zeros(2, 3), taut.zeros(3), taut.ones(3), residual=taut.zeros(3)), ValueError, ["batch_norm_relu: residual", "(2, 3)"]),
    (
        lambda: F.batch_norm(taut.zeros(1, 3), None, None, training=True),
        (ValueError, RuntimeError),
        ["batch_norm", "(1, 3)"],
    ),
    (lambda: F.group_norm(image, 2), (ValueError, RuntimeError), ["group_norm", "3", "2"]),
    (lambda: F.glu(x), (ValueError, RuntimeError), ["glu", "3"]),
    (lambda: F.prelu(x, taut.zeros(2)), RuntimeError, ["prelu", "2", "3"]),
    # Losses.
    (lambda: F.cross_entropy(x, taut.tensor([0, 3])), IndexError, ["cross_entropy", "3"]),
    (lambda: F.cross_entropy(x, taut.tensor([0, -1])), IndexError, ["cross_entropy", "-1"]),
    (lambda: F.cross_entropy(x, taut.tensor([0])), RuntimeError, ["cross_entropy", "(2, 3)", "(1,)"]),
    (lambda: F.cross_entropy(x, taut.tensor([0.0, NAN])), (TypeError, RuntimeError), ["cross_entropy", "(2,)"]),
    (lambda: F.nll_loss(x, taut.tensor([0, 3])), IndexError, ["nll_loss", "3"]),
    (lambda: F.nll_loss(x, taut.tensor([0.0, 1.0])), (TypeError, RuntimeError), ["nll_loss", "float32"]),
    (lambda: F.cross_entropy(x, i, weight=taut.zeros(2)), RuntimeError, ["weight", "(2,)", "3"]),
    (lambda: F.cross_entropy(x, i, label_smoothing=1.5), (ValueError, RuntimeError), ["label_smoothing", "1.5"]),
    (lambda: F.cross_entropy(x, i, reduction="average"), (ValueError, RuntimeError), ["average"]),
    (lambda: F.binary_cross_entropy(x, x * 0), (ValueError, RuntimeError), ["binary_cross_entropy"]),
    (lambda: F.binary_cross_entropy(taut.tensor([NAN]), taut.tensor([1.0])), (ValueError, RuntimeError), ["nan"]),
    (lambda: F.binary_cross_entropy(taut.rand(2), taut.rand(3)), (ValueError, RuntimeError), ["(2,)", "(3,)"]),
    (lambda: F.mse_loss(x, taut.zeros(4)), RuntimeError, ["(2, 3)", "(4,)"]),
    # Devices, and arguments of the wrong kind or number.
    (lambda: x.to("tpu"), RuntimeError, ["tpu"]),
    (lambda: taut.zeros(2, device="cpu:x"), RuntimeError, ["cpu:x"]),
    (lambda: x.to("float32"), (RuntimeError, TypeError), ["float32"]),
    (lambda: taut.zeros(2, dtype="float32"), TypeError, ["dtype", "str"]),
    (lambda: taut.zeros("2"), TypeError, ["zeros", "str"]),
    (lambda: taut.zeros(2.5), TypeError, ["zeros", "float"]),
    (lambda: taut.exp(), TypeError, ["exp", "input"]),
    (lambda: taut.exp(x, x, x), TypeError, ["exp"]),
    (lambda: taut.exp([1.0]), TypeError, ["exp", "list"]),
    (lambda: taut.exp(None), TypeError, ["exp", "None"]),
    (lambda: taut.cat(5), TypeError, ["cat", "int"]),
    (lambda: taut.cat([x, 1]), TypeError, ["cat", "int"]),
    (lambda: x.sum("0"), TypeError, ["sum", "str"]),
    (lambda: x.sum(dims=0), TypeError, ["sum", "dims"]),
    (lambda: x.softmax(), TypeError, ["softmax", "dim"]),
    (lambda: F.linear(x), TypeError, ["linear", "weight"]),
    (lambda: F.cross_entropy(x, [0, 1]), TypeError, ["cross_entropy", "target", "list"]),
    (lambda: taut.nothing, AttributeError, ["nothing"]),
    (lambda: x.nothing, AttributeError, ["nothing"]),
    # Writing.
    (lambda: taut.zeros(3).expand(2, 3).add_(1), RuntimeError, ["add", "in place", "(2, 3)", "(0, 1)"]),
    (lambda: taut.zeros(3).add_(taut.zeros(2, 3)), RuntimeError, ["add_", "(2, 3)", "(3,)"]),
    (lambda: taut.zeros(3).copy_(taut.zeros(2)), RuntimeError, ["copy_", "(2,)", "(3,)"]),
    (lambda: taut.zeros(3, requires_grad=True).add_(1), RuntimeError, ["add", "leaf", "in place"]),
]


small = taut.zeros(2, dtype=taut.int8)
yes = taut.tensor([True, False])
# A number that the dtype does not hold: the op is named first, then the number and the dtype.
NUMBERS = [
    ("full", 300, "int8", lambda: taut.full((2,), 300, dtype=taut.int8)),
    ("full", -129, "int8", lambda: taut.full((0,), -129, dtype=taut.int8)),
    ("full", 127.5 + 0.5, "int8", lambda: taut.full((2,), 128.0, dtype=taut.int8)),
    ("full", -256, "uint8", lambda: taut.full((2,), -256, dtype=taut.uint8)),
    ("full", -1.5, "uint8", lambda: taut.full((2,), -1.5, dtype=taut.uint8)),
    ("full", "nan", "int64", lambda: taut.full((2,), NAN, dtype=taut.int64)),
    ("full", "9223372036854775808.0", "int64", lambda: taut.full((2,), 2.0**63, dtype=taut.int64)),
    ("full", 70000, "float16", lambda: taut.full((2,), 70000, dtype=taut.float16)),
    ("full", "1e+300", "float32", lambda: taut.full((2,), 1e300, dtype=taut.float32)),
    ("full_like", 300, "int8", lambda: taut.full_like(small, 300)),
    ("fill", 300, "int8", lambda: taut.fill(small, 300)),
    ("fill_", 300, "int8", lambda: small.fill_(300)),
    ("fill_", 300, "int8", lambda: small.__setitem__(0, 300)),
    ("tensor", 300, "int8", lambda: small.__setitem__(taut.tensor([0]), 300)),
    ("tensor", 300, "int8", lambda: taut.tensor(300, dtype=taut.int8)),
    ("tensor", 300, "int8", lambda: taut.tensor([[1, 300]], dtype=taut.int8)),
    ("tensor", "nan", "int8", lambda: taut.tensor([NAN], dtype=taut.int8)),
    ("linspace", 300, "int8", lambda: taut.linspace(0, 300, 2, dtype=taut.int8)),
    ("masked_fill", 300, "int8", lambda: small.masked_fill(yes, 300)),
    ("masked_fill_", 300, "int8", lambda: small.masked_fill_(yes, taut.tensor(300))),
    ("where", 300, "int8", lambda: taut.where(yes, small, 300)),
    ("scatter", 300, "int8", lambda: small.scatter(0, i, 300)),
    ("index_fill_", 300, "int8", lambda: small.index_fill_(0, i, 300)),
    ("constant_pad_nd", "300.0", "int8", lambda: F.pad(small, (1, 1), value=300)),
]


@pytest.mark.parametrize("number", range(len(NUMBERS)))
def test_numbers_that_a_dtype_does_not_hold(number):
    op, value, dtype, wrong = NUMBERS[number]
    with pytest.raises(ValueError, match=re.escape(f"{op}: {value} does not fit {dtype}")):
        wrong()
    assert small.tolist() == [0, 0]


def test_numbers_that_a_dtype_holds_after_all():
    assert taut.full((1,), 127.9, dtype=taut.int8).item() == 127
    assert taut.full((1,), -255, dtype=taut.uint8).item() == 1  # as in PyTorch
    assert taut.full((1,), 2, dtype=taut.bool).item() is True
    assert taut.full((1,), float("-inf"), dtype=taut.float16).item() == float("-inf")
    assert taut.tensor([1e6, 1.0], dtype=taut.float16).tolist() == [float("inf"), 1]
    assert small.masked_fill(yes, 1.5).tolist() == [1, 0]
    assert taut.zeros(1, dtype=taut.int8).fill_(taut.tensor(300)).item() == 44  # tensors are cast
    # Asked for, not stored: no element is 300, and all of these lie below it.
    assert taut.isin(small, 300).tolist() == [False, False] and taut.searchsorted(small, 300).item() == 2
    assert taut.searchsorted(taut.tensor([1, 2, 3]), 2.5).item() == 2


far = taut.tensor([7])
# Wrong calls of ops that index: the op that was called is named.
INDEXING = {
    "take": lambda: taut.take(x, far),
    "take_along_dim": lambda: taut.take_along_dim(x, far.view(1, 1), 1),
    "gather": lambda: taut.gather(x, 1, far.view(1, 1)),
    "index_select": lambda: taut.index_select(x, 1, far),
    "index_add": lambda: taut.index_add(v, 0, far, taut.ones(1)),
    "index_add_": lambda: v.index_add_(0, far, taut.ones(1)),
    "index_copy": lambda: taut.index_copy(v, 0, far, taut.ones(1)),
    "index_copy_": lambda: v.index_copy_(0, far, taut.ones(1)),
    "index_fill": lambda: taut.index_fill(v, 0, far, 1.0),
    "index_fill_": lambda: v.index_fill_(0, far, 1.0),
    "index_put": lambda: taut.index_put(v, (far,), taut.ones(1)),
    "index_put_": lambda: v.index_put_((far,), taut.ones(1)),
    "scatter": lambda: taut.scatter(v, 0, far, taut.ones(1)),
    "scatter_": lambda: v.scatter_(0, far, 1.0),
    "scatter_add": lambda: taut.scatter_add(v, 0, far, taut.ones(1)),
    "scatter_add_": lambda: v.scatter_add_(0, far, taut.ones(1)),
    "scatter_reduce": lambda: taut.scatter_reduce(v, 0, far, taut.ones(1), "sum"),
    "scatter_reduce_": lambda: v.scatter_reduce_(0, far, taut.ones(1), "sum"),
    "index": lambda: v[far],
}
MASKING = {
    "masked_select": lambda: taut.masked_select(v, yes),
    "masked_fill": lambda: taut.masked_fill(v, yes, 1.0),
    "masked_fill_": lambda: v.masked_fill_(yes, 1.0),
    "masked_scatter": lambda: taut.masked_scatter(v, yes, v),
}


@pytest.mark.parametrize("op", INDEXING)
def test_an_index_out_of_range_names_the_op(op):
    with pytest.raises(IndexError, match=rf"^{op}: index 7 "):
        INDEXING[op]()
    assert v.tolist() == [0, 1, 2]


@pytest.mark.parametrize("op", MASKING)
def test_a_mask_that_does_not_fit_names_the_op(op):
    with pytest.raises(RuntimeError, match=rf"^{op}: .*\(2,\)"):
        MASKING[op]()


@pytest.mark.parametrize("number", range(len(ROWS)))
def test_message(number):
    wrong, kind, fragments = ROWS[number]
    with pytest.raises(kind) as caught:
        wrong()
    text = str(caught.value)
    assert [fragment for fragment in fragments if fragment not in text] == [], text
    assert not re.search(r"0x[0-9a-f]{6}|\.cpp|std::|INTERNAL", text), text
