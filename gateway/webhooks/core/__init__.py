"""What a webhook is, decided without I/O, clocks or chance: body, signature, retry, lane, address rules."""
