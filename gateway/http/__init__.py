"""HTTP faces, mounted by prefix."""
