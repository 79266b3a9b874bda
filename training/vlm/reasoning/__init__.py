"""Reasoning (equation 7): fine-tuned on the rationales of people, then GRPO with rewards over all boxes."""
