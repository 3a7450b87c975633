"""The words every room shares: numbers, ids, causes, events, errors, the clock. No I/O, no imports of ours."""
