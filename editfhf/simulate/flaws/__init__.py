"""Injected flaws: painters, true boxes and disks, and the texts that say what is wrong."""
