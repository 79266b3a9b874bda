"""Hand-crafted perception agents, without weights: what any trained agent must beat."""
