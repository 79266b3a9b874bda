"""Prove that a recipe trains, generates and rolls out on the same inputs, whatever the order, padding and batch.

recipe --> one batch of unequal images --> what each path sees (encodings) --> comparisons --> findings
"""
