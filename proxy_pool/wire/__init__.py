"""Carriers' forms of a text message, read and written: pure codecs, one module a carrier."""
