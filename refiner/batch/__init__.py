"""Refine many pairs: read them, refine each into its folder, sum up, and write the corpus of the next campaign."""
