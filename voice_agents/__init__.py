"""Voices on calls: the speech that announcements and AI agents use."""
