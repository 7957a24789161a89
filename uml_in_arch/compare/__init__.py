"""One table, page and plot that compare deblurring networks and methods: ``python -m uml_in_arch.compare -opt FILE``.

`options` reads what to compare, `runner` starts a `worker` process per entry, `results` holds what came out, and
`tables`, `scatter`, `crops`, `page` and `paper` show it.
"""
