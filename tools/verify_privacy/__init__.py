"""Masked calls and texts made of hostile input, and a search for real numbers in all that comes out."""
