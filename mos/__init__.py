"""From raw ratings to mean opinion scores: a tool for any subjective study, usable without images."""
