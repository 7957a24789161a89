"""Deblurs pictures with a trained network: ``python -m uml_in_arch.deblur INPUT... -o OUT``.

`jobs` finds the pictures and says where the results go, `photograph` reads and writes them, `deblurrer` restores them.
"""
