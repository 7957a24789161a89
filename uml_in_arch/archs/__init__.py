"""Networks. Importing this package registers them in BasicSR's ARCH_REGISTRY."""

from uml_in_arch.archs.umlin_arch import UMLIN, UMLINPlus

__all__ = ["UMLIN", "UMLINPlus"]
