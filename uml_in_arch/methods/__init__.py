"""Methods that deblur each picture by itself. Importing this package registers them in METHOD_REGISTRY.

Add one with a file here that registers a subclass of `PerImageMethod`, and a line below.
"""

from uml_in_arch.methods.per_image import METHOD_REGISTRY, PerImageMethod
from uml_in_arch.methods.selfdeblur import SelfDeblur

__all__ = ["METHOD_REGISTRY", "PerImageMethod", "SelfDeblur"]
