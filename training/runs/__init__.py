"""What every training shares: recipes, losses without a model, the curve of a run, and the absolute scale."""
