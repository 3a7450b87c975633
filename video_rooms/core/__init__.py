"""What decides in video rooms: pure, and told the time."""
