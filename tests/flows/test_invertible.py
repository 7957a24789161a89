"""Every invertible module keeps the same contract; one suite checks them all."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from uml_in_arch.flows import (
    ActNorm,
    AffineCoupling,
    FeatureCoupling,
    Haar,
    Invertible,
    OrthogonalConv1x1,
    conv_subnet,
    flow_steps,
)
from uml_in_arch.flows.subnets import ConcatConv2d

# name -> (how to build it, channels, channels of the condition)
MODULES: dict[str, tuple[Callable[[], Invertible], int, int]] = {
    "haar": (Haar, 4, 0),
    "actnorm": (lambda: ActNorm(4), 4, 0),
    "conv1x1": (lambda: OrthogonalConv1x1(4), 4, 0),
    "coupling": (lambda: AffineCoupling(4, 0, conv_subnet(8)), 4, 0),
    "conditional coupling": (lambda: AffineCoupling(4, 3, conv_subnet(8)), 4, 3),
    "odd split": (lambda: AffineCoupling(5, 3, conv_subnet(8)), 5, 3),
    "feature coupling": (lambda: FeatureCoupling(5, 3), 5, 3),
    "feature coupling of one channel": (lambda: FeatureCoupling(1, 3), 1, 3),
    "steps": (lambda: flow_steps(4, 3, 2, partial(AffineCoupling, subnet=conv_subnet(8))), 4, 3),
    "steps of feature couplings": (lambda: flow_steps(4, 3, 2, FeatureCoupling), 4, 3),
    "one channel": (lambda: flow_steps(1, 0, 2, partial(AffineCoupling, subnet=conv_subnet(8))), 1, 0),
}
SIZES = [(1, 2, 2), (2, 8, 6), (3, 16, 16)]


def trained_like(module: nn.Module, scale: float = 0.1) -> nn.Module:
    """Away from the identity, where a fresh module would hide mistakes."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(scale * torch.randn_like(parameter))
    return module.eval()


def make(name: str, size: tuple[int, int, int], dtype: torch.dtype) -> tuple[Invertible, Tensor, Tensor | None]:
    torch.manual_seed(0)
    build, channels, cond_channels = MODULES[name]
    batch, height, width = size
    torch.set_default_dtype(dtype)  # so that a random rotation is orthogonal to this precision
    module = trained_like(build())
    torch.set_default_dtype(torch.float32)
    x = torch.randn(batch, channels, height, width, dtype=dtype)
    cond = torch.randn(batch, cond_channels, height, width, dtype=dtype) if cond_channels else None
    return module, x, cond


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", MODULES)
def test_round_trip_both_ways(name, size):
    module, x, cond = make(name, size, torch.float32)
    before = x.clone()
    z = module(x, cond)
    assert not torch.equal(z, x) or name == "one channel"
    assert (module.inverse(z, cond) - x).abs().max() < 1e-5
    if name != "haar":  # its two directions have different shapes
        assert (module(module.inverse(x, cond), cond) - x).abs().max() < 1e-5
    assert torch.equal(x, before), "the caller's tensor was changed"


@pytest.mark.parametrize("name", MODULES)
def test_log_determinant_equals_the_jacobian(name):
    module, x, cond = make(name, (2, 2, 4), torch.float64)
    z, logdet = module(x, cond, logdet=True)
    back, inverse_logdet = module.inverse(z, cond, logdet=True)
    torch.testing.assert_close(back, x)
    assert logdet.shape == (2,)
    for i in range(2):
        one_cond = None if cond is None else cond[i : i + 1]
        jacobian = torch.autograd.functional.jacobian(lambda v, c=one_cond: module(v, c), x[i : i + 1])
        expected = torch.linalg.slogdet(jacobian.reshape(x[0].numel(), x[0].numel()))[1]
        torch.testing.assert_close(logdet[i], expected)
        torch.testing.assert_close(inverse_logdet[i], -expected)


@pytest.mark.parametrize("direction", ["forward", "inverse"])
@pytest.mark.parametrize("name", MODULES)
def test_gradients_are_finite_and_reach_every_parameter(name, direction):
    module, x, cond = make(name, (2, 4, 4), torch.float32)
    y, logdet = getattr(module, direction)(x.requires_grad_(), cond, logdet=True)
    (y.square().mean() + logdet.mean()).backward()
    assert torch.isfinite(x.grad).all()
    for key, parameter in module.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), key


@pytest.mark.parametrize("name", [name for name, (_, _, cond) in MODULES.items() if name != "haar"])
def test_bf16_autocast_still_inverts(name):
    """Only the subnets run in bfloat16; a module that let the data path follow would be off by more than 1e-1."""
    module, x, cond = make(name, (2, 8, 8), torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        z = module(x, cond)
        back = module.inverse(z, cond)
    assert z.dtype == torch.float32
    assert (back - x).abs().max() < 2e-2


@pytest.mark.parametrize("name", ["conditional coupling", "feature coupling"])
def test_fresh_coupling_is_the_identity(name):
    build, channels, cond_channels = MODULES[name]
    x, cond = torch.randn(2, channels, 8, 8), torch.randn(2, cond_channels, 8, 8)
    torch.testing.assert_close(build()(x, cond), x)


@pytest.mark.parametrize(
    ("coupling", "scaled"),
    [(AffineCoupling(2, 1, conv_subnet(8), clamp=0.5), 1), (FeatureCoupling(2, 1, clamp=0.5), 2)],
    ids=["affine", "feature"],
)
def test_clamp_bounds_the_scale(coupling, scaled):
    torch.manual_seed(0)
    module = trained_like(coupling, scale=100)
    _, logdet = module(torch.randn(1, 2, 8, 8), torch.randn(1, 1, 8, 8), logdet=True)
    assert 0 < logdet.abs().item() <= 0.5 * 64 * scaled


def test_feature_coupling_moves_every_channel_and_the_first_half_drives_the_others():
    torch.manual_seed(0)
    module = trained_like(FeatureCoupling(4, 3))
    x, cond = torch.randn(1, 4, 1, 1), torch.randn(1, 3, 1, 1)
    jacobian = torch.autograd.functional.jacobian(lambda v: module(v, cond), x).reshape(4, 4)
    assert torch.equal(jacobian != 0, torch.tensor([[1, 0, 0, 0], [0, 1, 0, 0], [1, 1, 1, 0], [1, 1, 0, 1]]).bool())
    assert not torch.isclose(module(x, cond), x).any()
    other = torch.autograd.functional.jacobian(lambda c: module(x, c), cond).reshape(4, 3)
    assert (other != 0).all()


def test_haar_is_orthonormal_and_equals_pywavelets():
    pywt = pytest.importorskip("pywt")
    torch.manual_seed(0)
    x = torch.randn(2, 3, 8, 12, dtype=torch.float64)
    z = Haar()(x)
    torch.testing.assert_close(z.square().sum(), x.square().sum())
    low, (height, width, diagonal) = pywt.dwt2(x.numpy(), "haar")
    for band, expected in zip(z.chunk(4, dim=1), (low, width, height, diagonal), strict=True):
        torch.testing.assert_close(band, torch.from_numpy(expected))


def test_orthogonal_weight_stays_orthogonal_however_large_its_generator():
    torch.manual_seed(0)
    module = trained_like(OrthogonalConv1x1(9), scale=3)
    weight = module.weight()
    torch.testing.assert_close(weight @ weight.T, torch.eye(9), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Haar()(torch.zeros(1, 3, 5, 4)), "even height and width, got 5x4"),
        (lambda: Haar().inverse(torch.zeros(1, 3, 4, 4)), "4C channels, got 3"),
        (lambda: ActNorm(3)(torch.zeros(3, 4, 4)), "takes \\(N, C, H, W\\)"),
        (lambda: AffineCoupling(4, 2, conv_subnet(8))(torch.zeros(1, 4, 2, 2)), "condition of 2 channels, got 0"),
        (lambda: AffineCoupling(1, 0, conv_subnet(8)), "needs a condition"),
        (lambda: AffineCoupling(4, 2, conv_subnet(8), clamp=0), "clamp must be"),
        (lambda: FeatureCoupling(4, 2)(torch.zeros(1, 4, 2, 2)), "condition of 2 channels, got 0"),
        (lambda: FeatureCoupling(4, 0), "at least 1 channel"),
        (lambda: FeatureCoupling(4, 2, clamp=0), "clamp must be"),
    ],
)
def test_impossible_use_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@torch.no_grad()
def test_concat_conv_is_a_convolution_of_concatenated_maps() -> None:
    torch.manual_seed(0)
    conv, maps = ConcatConv2d(7, 5, 3, padding=1), [torch.randn(2, channels, 6, 9) for channels in (3, 4)]
    plain = torch.nn.Conv2d(7, 5, 3, padding=1)
    plain.load_state_dict(conv.state_dict())
    assert (conv(maps) - plain(torch.cat(maps, dim=1))).abs().max() < 1e-5
