"""Video rooms, and phones as full citizens in them."""
