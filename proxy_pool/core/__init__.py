"""Decisions of number masking: pure, without time, chance or servers of their own."""
