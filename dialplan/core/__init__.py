"""The pure call machine: no I/O, no clock, no chance."""
