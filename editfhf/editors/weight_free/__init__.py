"""Editors that need no weights and no server: each repairs one kind of flaw, inside of the mask only."""
