"""Invertible image deblurring (UML-IN) as a plugin for BasicSR.

Importing this package is cheap: it imports neither BasicSR nor torch. ``uml_in_arch.archs``, ``.losses``,
``.metrics``, ``.data`` and ``.models`` register their classes in BasicSR's registries when they are imported.
"""

__version__ = "0.1.0"
