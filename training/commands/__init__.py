"""The commands of this package: `editfhf evaluate ...` and `editfhf diagnose`."""
