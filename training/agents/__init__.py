"""What agents take and give: protocols, typed results, and the registry that finds an agent by its name."""
