"""Collect new pairs: sources, instructions of a model, edits by many editors, scores, and the best as a corpus."""
