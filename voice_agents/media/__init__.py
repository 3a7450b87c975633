"""The sound of agents' calls: drivers, ticker, playout."""
