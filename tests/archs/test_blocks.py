"""Blocks of the conditioning networks: what they compute, in any memory format, and what autocast may round."""

from __future__ import annotations

import pytest
import torch

from uml_in_arch.archs.blocks import ChannelLayerNorm, GatedBlock


def away_from_start(module):
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter))
    return module


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@torch.no_grad()
def test_layer_norm_normalises_the_channels_of_every_pixel(memory_format):
    norm = away_from_start(ChannelLayerNorm(6))
    x = torch.randn(2, 6, 5, 7).contiguous(memory_format=memory_format)
    centred = x - x.mean(1, keepdim=True)
    expected = centred / (x.var(1, unbiased=False, keepdim=True) + norm.eps).sqrt() * norm.weight + norm.bias
    assert (norm(x) - expected).abs().max() < 1e-5


@torch.no_grad()
def test_block_scales_its_branches():
    block = away_from_start(GatedBlock(4))
    x = torch.randn(2, 4, 9, 8)
    middle = x + block.spatial(x) * block.spatial_scale
    assert (block(x) - middle - block.pointwise(middle) * block.pointwise_scale).abs().max() < 1e-4


def test_new_block_is_the_identity_and_its_scales_learn():
    block, x = GatedBlock(4), torch.randn(1, 4, 8, 8)
    y = block(x)
    assert torch.equal(y, x)
    y.square().sum().backward()
    assert block.spatial_scale.grad.abs().min() > 0


def test_autocast_does_not_round_the_sum_of_the_blocks():
    block, x = GatedBlock(4), torch.randn(1, 4, 8, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(block(x), x)
        assert block(x.bfloat16()).dtype == torch.float32
