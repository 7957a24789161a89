"""Fills BasicSR's registries by being imported, and mends BasicSR, which must be imported after this."""

import uml_in_arch.archs
import uml_in_arch.data.registered
import uml_in_arch.methods
import uml_in_arch.metrics
import uml_in_arch.models
import uml_in_arch.toolbox  # noqa: F401
