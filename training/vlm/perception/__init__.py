"""Perception (equation 6): image features and hidden states of the edited image become two saliency maps."""
