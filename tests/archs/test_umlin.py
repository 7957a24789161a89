"""UMLIN and UMLINPlus: exact inverses at any size, conditions, errors."""

from __future__ import annotations

import pytest
import torch

from uml_in_arch.archs import UMLIN, UMLINPlus
from uml_in_arch.errors import OptionError

SMALL = {
    UMLIN: {"num_levels": 3, "num_steps": 2, "hidden_channels": 8},
    UMLINPlus: {"widths": [8, 12, 16], "encoder_blocks": [1, 1, 2], "decoder_blocks": 1},
}
SIZES = [(8, 8), (9, 9), (8, 13), (33, 47), (64, 48), (1, 1)]
both = pytest.mark.parametrize("arch", SMALL)


def trained_like(arch, scale=0.05, **options):
    """A network whose parameters are away from the start, where the composite is the identity."""
    torch.manual_seed(0)
    net = arch(**SMALL[arch] | options)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(scale * torch.randn_like(parameter))
    return net.eval()


def condition(net, image):
    return {"blur": image} if isinstance(net, UMLINPlus) else {}


@both
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", SIZES, ids=str)
@torch.no_grad()
def test_reblur_undoes_deblur_at_any_size(arch, channels, size):
    net = trained_like(arch, scale=0.1, in_channels=channels)
    blur = torch.rand(2, channels, *size)
    deblurred = net.deblur(blur)
    assert deblurred.shape == blur.shape
    assert (deblurred - blur).abs().max() > 1e-2, "the network does nothing, so the test would show nothing"
    assert (net.reblur(deblurred, **condition(net, blur)) - blur).abs().max() < 1e-4


@both
@pytest.mark.parametrize("branch", ["blur", "sharp"])
@pytest.mark.parametrize("size", SIZES, ids=str)
@torch.no_grad()
def test_decode_undoes_encode_at_any_size(arch, branch, size):
    net = trained_like(arch)
    image = torch.rand(1, 3, *size)
    options = condition(net, torch.rand_like(image))
    latents = net.encode(image, branch, **options)
    assert len(latents.details) == 3
    assert (net.decode(latents, branch, **options) - image).abs().max() < 1e-4


@both
@torch.no_grad()
def test_latents_are_as_many_numbers_as_the_image_has(arch):
    net = trained_like(arch)
    image = torch.rand(1, 3, 32, 48)
    latents = net.encode(image, "blur", **condition(net, image))
    assert [tuple(z.shape[1:]) for z in latents.details] == [(9, 16, 24), (9, 8, 12), (9, 4, 6)]
    assert sum(z.numel() for z in latents.tensors()) == image.numel()


@both
def test_new_network_is_the_identity_also_after_the_first_batch(arch):
    torch.manual_seed(0)
    net = arch(**SMALL[arch])
    blur, sharp = torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 16)
    torch.testing.assert_close(net.eval()(blur), blur)
    output = net.train()(blur, sharp)
    torch.testing.assert_close(output.deblurred, blur, atol=1e-4, rtol=0)
    assert output.reblurred is None
    state = net.state_dict()
    for key, value in state.items():
        if key.startswith("blur_branch"):
            torch.testing.assert_close(state[key.replace("blur_branch", "sharp_branch")], value)
    assert state["blur_branch.base.steps.0.initialized"]


@both
def test_training_output_agrees_with_the_single_calls(arch):
    net = trained_like(arch)
    blur, sharp = torch.rand(2, 3, 17, 16), torch.rand(2, 3, 17, 16)
    output = net(blur, sharp, reblur=True)
    options = condition(net, blur)
    torch.testing.assert_close(output.deblurred, net(blur))
    torch.testing.assert_close(output.reblurred, net.reblur(sharp, **options))
    torch.testing.assert_close(output.latents_blur, net.encode(blur, "blur", **options))
    torch.testing.assert_close(output.latents_sharp, net.encode(sharp, "sharp", **options))


@both
def test_every_parameter_gets_a_finite_gradient_from_the_pixel_loss_alone(arch):
    net = trained_like(arch).train()
    (net(torch.rand(2, 3, 16, 16)) - torch.rand(2, 3, 16, 16)).abs().mean().backward()
    for key, parameter in net.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), key


@both
def test_saving_memory_changes_no_gradient_and_keeps_less(arch):
    net = trained_like(arch, **({"num_steps": 8} if arch is UMLIN else {})).train()
    blur, sharp = torch.rand(2, 3, 33, 48), torch.rand(2, 3, 33, 48)
    found = {}
    for saving in (False, True):
        net.save_memory(saving)
        net.zero_grad()
        kept = {}

        def pack(tensor, kept=kept):
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            output = net(blur, sharp, reblur=True)
        loss = (output.deblurred - sharp).abs().mean() + (output.reblurred - blur).abs().mean()
        (loss + sum(z.abs().mean() for z in output.latents_sharp.tensors())).backward()
        found[saving] = {key: parameter.grad for key, parameter in net.named_parameters()}, sum(kept.values())
    torch.testing.assert_close(found[True][0], found[False][0], rtol=1e-3, atol=1e-5)
    assert found[True][1] < found[False][1] / 2


def test_default_umlin_inverts_in_float32():
    torch.manual_seed(0)
    net = UMLIN()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.01 * torch.randn_like(parameter))
        image = torch.rand(1, 3, 96, 80)
        assert (net.reblur(net.eval().deblur(image)) - image).abs().max() < 1e-4


@both
@torch.no_grad()
def test_inverts_under_bf16_autocast(arch):
    net = trained_like(arch, scale=0.02)
    blur = torch.rand(1, 3, 32, 32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        deblurred = net.deblur(blur)
        back = net.reblur(deblurred, **condition(net, blur))
    assert deblurred.dtype == torch.float32
    assert (back - blur).abs().max() < 2e-2


@pytest.mark.parametrize(
    ("arch", "options", "message"),
    [
        (UMLIN, {"in_channels": 2}, "in_channels is 1"),
        (UMLIN, {"num_levels": 0}, "levels must be 1 to 8"),
        (UMLIN, {"num_steps": 0}, "num_steps must be at least 1"),
        (UMLIN, {"hidden_channels": [8, 8]}, "hidden_channels has 2 entries for 4 levels"),
        (UMLIN, {"hidden_channels": 0}, "hidden_channels must be at least 1"),
        (UMLIN, {"clamp": 0.0}, "clamp must be above 0"),
        (UMLINPlus, {"widths": []}, "levels must be 1 to 8"),
        (UMLINPlus, {"widths": [8, 0]}, "widths must be at least 1"),
        (UMLINPlus, {"decoder_blocks": [1]}, "decoder_blocks has 1 entries for 4 levels"),
        (UMLINPlus, {"encoder_blocks": -1}, "encoder_blocks must be at least 0"),
    ],
)
def test_impossible_constructor_arguments_are_named(arch, options, message):
    with pytest.raises(OptionError, match=message):
        arch(**options)


def test_wrong_use_is_named():
    net = trained_like(UMLINPlus)
    with pytest.raises(ValueError, match="takes \\(N, 3, H, W\\)"):
        net(torch.rand(1, 1, 16, 16))
    with pytest.raises(ValueError, match="pass it as blur="):
        net.reblur(torch.rand(1, 3, 16, 16))
    with pytest.raises(ValueError, match="'blur' or 'sharp'"):
        net.encode(torch.rand(1, 3, 16, 16), "both", torch.rand(1, 3, 16, 16))
