"""The demonstration: the main stories told on real servers, each checked as it is told."""
