"""Speech providers behind the ports of this room."""
