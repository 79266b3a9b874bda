"""From findings to a plan: which region, in which order, by which editors, with which instruction."""
