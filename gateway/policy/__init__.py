"""What may be dialled, decided before money is spent: pure rules, one list, no I/O."""
