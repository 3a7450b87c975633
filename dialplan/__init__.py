"""One call from first ring to CDR: the pure core decides, Asterisk does the mechanics."""
