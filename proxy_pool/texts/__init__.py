"""Texts of masking sessions: taken in, judged, relayed, their receipts joined."""
