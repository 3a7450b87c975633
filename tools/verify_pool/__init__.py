"""Prove on recorded histories that the pool never gives one door to two, however its servers die."""
