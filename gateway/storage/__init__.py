"""SQL tables and repositories behind the rooms' ports."""
