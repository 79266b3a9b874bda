"""A new corpus, and with it a new campaign, out of images that a refiner made."""
