"""An agent of our own, in this process, with no account and no network."""
