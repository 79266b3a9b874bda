"""Benchmarks that a judge scores: samples, results of an editor, verdicts with receipts, means, and why two differ."""
