"""Ears and voice for agents that read and write words."""
