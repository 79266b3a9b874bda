"""The app: one pair repaired by hand and by editors, region by region, in a browser."""
