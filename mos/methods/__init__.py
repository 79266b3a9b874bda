"""The ways from coded ratings to mean opinion scores, by name."""
