"""`editfhf refine`."""
