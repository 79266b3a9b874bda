"""What goes to the server and comes from it: one step of a sync, and the archive of every answer."""
