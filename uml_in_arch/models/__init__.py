"""Training and testing steps. Importing this package registers them in BasicSR's MODEL_REGISTRY."""

from uml_in_arch.models.deblurgan_model import DeblurGANModel
from uml_in_arch.models.umlin_model import UMLINModel

__all__ = ["DeblurGANModel", "UMLINModel"]
