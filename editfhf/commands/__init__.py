"""The commands of this package, one file each, found through the entry-point group `editfhf.commands`."""
