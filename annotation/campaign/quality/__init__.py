"""How well people agree, and which answers should be given again."""
