"""The recorder: a participant nobody sees, who writes down what the room sees and hears."""
