"""Injected flaws: painters, true boxes and disks, and rationales."""
