"""The patchbay command."""
