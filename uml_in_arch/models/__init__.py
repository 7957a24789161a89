"""Training and testing steps. Importing this package registers them in BasicSR's MODEL_REGISTRY."""

from uml_in_arch.models.umlin_model import UMLINModel

__all__ = ["UMLINModel"]
