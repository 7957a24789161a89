"""Motion blur, pictures and data sets.

Importing this package imports neither torch nor BasicSR, so that preparing data starts at once; `registered` has what
BasicSR must know.
"""
