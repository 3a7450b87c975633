"""HTTP carriers for texts: which there are, what comes in from them, and the way out to them."""
