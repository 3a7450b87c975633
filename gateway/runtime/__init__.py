"""Real servers on a bare machine: provision, render, start, wait, stop."""
