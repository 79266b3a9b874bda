"""Agreement of participants, and tasks that should be done again."""
