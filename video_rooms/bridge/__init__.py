"""Telephones in rooms: the switch's media sockets on one side, participants on the other."""
