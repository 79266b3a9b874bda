"""A campaign: its options and people, what was said, what is to be done next, and what becomes of it all."""
