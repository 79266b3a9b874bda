"""The refinement loop: perceive, reason, act, evaluate, until the edited image is better."""
