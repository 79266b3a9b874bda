"""From rows of a dataset to the arrays that agents are trained and measured on; no torch in it.

`read_samples` reads a dataset, `pair_sample` decodes a row, `transforms` changes sizes and varies samples.
"""
