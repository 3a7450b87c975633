"""What agents and the switch write on the wire: pure codecs."""
