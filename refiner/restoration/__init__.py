"""The restoration benchmark: photos with a known clean edit and injected flaws, and how much of the harm a loop undoes.

The hidden clean target is never shown to an agent or editor, except to the oracle agents, which are an upper bound.
"""
