"""The agents: perception, reasoning and evaluation models trained on a built dataset."""
