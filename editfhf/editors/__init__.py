"""Image-editing backends behind one protocol, and what makes their answers safe to use: registration and paste-back."""
