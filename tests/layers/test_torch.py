"""PyTorch's own implementations against the general functions, also in every mode of PyTorch."""

import gc
import weakref

import numpy as np
import pytest
from hypothesis import given

from kerasseg.layers import MaxPoolingWithArgmax2D, MaxUnpooling2D, argmax_ops
from tests.layers.cases import BACKEND, bounded, channels_first, numpy, pooling_cases

if BACKEND != "torch":
    pytest.skip("the kernels are PyTorch's", allow_module_level=True)

import keras
import torch

from kerasseg.layers import torch as paths

OVERLAP, GAPS = ((3, 2), (2, 1), "same"), ((2, 3), (3, 4), "same")
ARGUMENTS = [(2, 2, "valid"), (2, 2, "same"), (3, 2, "same"), OVERLAP, GAPS]


def squared_pair(version, windows):
    def pair(x):
        pooled, argmax = version.max_pool(windows, x)
        return version.max_unpool(windows, pooled**2, argmax, x)

    return pair


@bounded(60)
@given(pooling_cases())
def test_the_kernels_equal_the_general_functions_gradient_and_all(case):
    x, *arguments = case
    upstream = torch.tensor(np.random.default_rng(0).normal(size=x.shape).astype("float32"))
    for data_format, map_of in (("channels_last", lambda x: x), ("channels_first", channels_first)):
        windows = MaxPoolingWithArgmax2D(*arguments, data_format).windows
        results = []
        for version in (paths, argmax_ops):
            leaf = torch.tensor(map_of(x), requires_grad=True)
            y = squared_pair(version, windows)(leaf)
            upward = torch.tensor(map_of(upstream.numpy()))
            results.append((numpy(y), numpy(torch.autograd.grad(y, leaf, upward)[0])))
        for ours, expected in zip(*results):
            np.testing.assert_allclose(ours, expected, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64", "int32", "int64", "uint8"])
@pytest.mark.parametrize("arguments", ARGUMENTS)
def test_the_kernels_equal_the_general_functions_in_every_type(dtype, arguments, rng):
    x = torch.tensor(rng.integers(0, 9, (2, 7, 8, 3))).to(getattr(torch, dtype))
    windows = MaxPoolingWithArgmax2D(*arguments).windows
    for ours, expected in zip(paths.max_pool(windows, x), argmax_ops.max_pool(windows, x)):
        assert ours.dtype == expected.dtype
        np.testing.assert_array_equal(numpy(ours.float()), numpy(expected.float()))
    y = squared_pair(paths, windows)(x)
    assert y.dtype == x.dtype
    assert torch.equal(y, squared_pair(argmax_ops, windows)(x))


@pytest.mark.parametrize("arguments", ARGUMENTS)
def test_an_empty_batch_has_empty_maps_and_an_empty_gradient(arguments):
    x = torch.zeros((0, 7, 8, 3), requires_grad=True)
    y = squared_pair(paths, MaxPoolingWithArgmax2D(*arguments).windows)(x)
    assert y.shape == torch.autograd.grad(y.sum(), x)[0].shape == x.shape


@pytest.mark.parametrize("arguments", ARGUMENTS)
def test_gradients_of_gradients_are_right(arguments, rng):
    x = torch.tensor(rng.permutation(1 * 5 * 6 * 2).reshape(1, 5, 6, 2) / 10.0, requires_grad=True)
    pair = squared_pair(paths, MaxPoolingWithArgmax2D(*arguments).windows)
    assert torch.autograd.gradcheck(pair, x)
    assert torch.autograd.gradgradcheck(pair, x)


@pytest.mark.parametrize("arguments", ARGUMENTS)
def test_vmap_and_the_gradients_of_torch_func_equal_eager_ones(arguments, rng):
    x = torch.tensor(rng.normal(size=(3, 2, 7, 8, 3)).astype("float32"))
    pair = squared_pair(paths, MaxPoolingWithArgmax2D(*arguments).windows)
    np.testing.assert_array_equal(torch.vmap(pair)(x), torch.stack([pair(image) for image in x]))
    gradients = torch.vmap(torch.func.grad(lambda x: pair(x).sum()))(x)
    x.requires_grad_()
    expected = torch.autograd.grad(sum(pair(image).sum() for image in x), x)[0]
    np.testing.assert_allclose(gradients.detach(), expected, atol=1e-6)


def test_torch_compile_sees_one_graph_and_gives_the_same_gradient(rng):
    x = torch.tensor(rng.normal(size=(2, 7, 8, 3)).astype("float32"), requires_grad=True)
    pool, unpool = MaxPoolingWithArgmax2D(padding="same"), MaxUnpooling2D(padding="same")

    def pair(x):
        pooled, argmax = pool(x)
        return unpool(pooled, argmax, x)

    expected = pair(x)
    y = torch.compile(pair, backend="aot_eager", fullgraph=True)(x)
    assert torch.equal(y, expected)
    gradients = (torch.autograd.grad(y.sum(), x)[0] for y in (y, expected))
    assert torch.equal(*gradients)


def test_an_exported_program_holds_the_general_functions():
    image = keras.Input((7, 8, 3))
    pooled, argmax = MaxPoolingWithArgmax2D(padding="same")(image)
    model = keras.Model(image, MaxUnpooling2D(padding="same")(pooled, argmax, image))
    x = torch.rand(1, 7, 8, 3)
    program = torch.export.export(model, (x,))
    names = {str(node.target) for node in program.graph.nodes}
    assert not [name for name in names if "max_pool" in name or "scatter" in name]
    assert torch.equal(program.module()(x), model(x))


def test_between_forward_and_backward_there_are_positions_of_one_byte():
    kept = []

    def keep(tensor):
        kept.append(tensor.dtype)
        return tensor

    x = torch.rand(1, 8, 6, 3, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        pooled, argmax = MaxPoolingWithArgmax2D()(x)
        MaxUnpooling2D()(pooled, argmax)
    assert set(kept) == {torch.uint8}


def test_maps_whose_channels_lie_first_in_memory_give_the_same(rng):
    x = torch.tensor(rng.normal(size=(2, 8, 6, 3)).astype("float32"))
    pair = squared_pair(paths, MaxPoolingWithArgmax2D().windows)
    moved = x.permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1)
    assert torch.equal(pair(moved), pair(x))


def test_positions_in_the_padding_are_dropped_as_the_general_function_drops_them():
    layer = MaxUnpooling2D(3, 3, "same")
    values, argmax = torch.ones((1, 2, 2, 1)), torch.zeros((1, 2, 2, 1), dtype=torch.uint8)
    like = torch.zeros((1, 4, 4, 1))
    expected = argmax_ops.max_unpool(layer.windows, values, argmax, like)
    assert torch.equal(layer(values, argmax, like), expected)


def test_segments_are_added_exactly_where_float32_stands_still():
    data = torch.tensor([2**24, 1, 1, 5], dtype=torch.int32)
    sums = paths.segment_sum(data, torch.tensor([1, 1, 1, 0]), 3)
    assert sums.tolist() == [5, 2**24 + 2, 0]


def test_the_largest_score_is_the_first_of_equal_ones_or_a_nan():
    scores = torch.tensor([[1.0, 3, 3], [np.nan, 9, 2], [-np.inf, -np.inf, np.nan]])
    values, ids = paths.largest(scores, -1)
    assert ids.tolist() == [1, 0, 2]
    assert values.isnan().tolist() == [False, True, True]


def test_a_flag_is_read_again_only_if_its_source_has_changed(monkeypatch):
    read = []
    monkeypatch.setattr(torch.Tensor, "__bool__", lambda flag: read.append(0) or flag.all().item())
    labels, right, wrong = torch.zeros(3), torch.tensor(True), torch.tensor(False)
    assert not paths.is_false(right, labels, (3,))
    assert not paths.is_false(right, labels, (3,))
    assert len(read) == 1
    labels += 1
    assert paths.is_false(wrong, labels, (3,))
    assert paths.is_false(wrong, labels, (3,)), "what was false is read again"
    assert paths.is_false(wrong, labels, (4,))
    assert paths.is_false(wrong, labels.clone(), (3,))


def test_the_last_labels_are_not_kept_alive():
    labels = torch.zeros(3)
    paths.is_false(torch.tensor(True), labels, ())
    reference = weakref.ref(labels)
    del labels
    gc.collect()
    assert reference() is None
