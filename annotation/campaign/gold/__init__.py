"""Gold, which is pairs with known answers: candidates qualify on them, and hidden ones check the quality."""
