"""Networks. Importing this package registers them in BasicSR's ARCH_REGISTRY."""

from uml_in_arch.archs.deblurgan_arch import DeblurGAN
from uml_in_arch.archs.deblurganv2_arch import DeblurGANv2
from uml_in_arch.archs.discriminator_arch import DoubleDiscriminator, PatchDiscriminator
from uml_in_arch.archs.mimounet_arch import MIMOUNet, MIMOUNetPlus
from uml_in_arch.archs.spandrel_arch import FFTformer, MPRNet, NAFNet, Restormer, SCUNet, Uformer
from uml_in_arch.archs.tlc import TLC
from uml_in_arch.archs.umlin_arch import UMLIN, UMLINPlus

__all__ = [
    "TLC",
    "UMLIN",
    "DeblurGAN",
    "DeblurGANv2",
    "DoubleDiscriminator",
    "FFTformer",
    "MIMOUNet",
    "MIMOUNetPlus",
    "MPRNet",
    "NAFNet",
    "PatchDiscriminator",
    "Restormer",
    "SCUNet",
    "UMLINPlus",
    "Uformer",
]
