"""What an editor really does: it is given synthetic images with known flaws, and its answers are measured."""
