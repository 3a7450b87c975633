"""AMI: the wire gate, translation of messages to facts, the hardened client, orders to actions."""
