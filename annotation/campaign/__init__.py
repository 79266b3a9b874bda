"""The campaign without server, files or clocks: who does what, and what becomes of what people said."""
