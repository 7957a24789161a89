"""Invertible maths: modules that run both ways. Knows nothing of BasicSR or of blur."""

from uml_in_arch.flows.actnorm import ActNorm
from uml_in_arch.flows.base import Invertible
from uml_in_arch.flows.conv1x1 import OrthogonalConv1x1
from uml_in_arch.flows.coupling import AffineCoupling
from uml_in_arch.flows.feature_coupling import FeatureCoupling
from uml_in_arch.flows.haar import Haar
from uml_in_arch.flows.sequence import FlowSequence, flow_steps
from uml_in_arch.flows.subnets import conv_subnet
from uml_in_arch.flows.wavelet_flow import Latents, WaveletFlow, extend_to_even

__all__ = [
    "ActNorm",
    "AffineCoupling",
    "FeatureCoupling",
    "FlowSequence",
    "Haar",
    "Invertible",
    "Latents",
    "OrthogonalConv1x1",
    "WaveletFlow",
    "conv_subnet",
    "extend_to_even",
    "flow_steps",
]
