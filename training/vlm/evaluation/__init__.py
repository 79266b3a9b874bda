"""Evaluation (equation 8): words of five levels first, then a head that gives scores with deviations."""
