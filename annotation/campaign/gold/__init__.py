"""Pairs whose answer is known: candidates qualify on them, and hidden among the tasks they watch over quality."""
