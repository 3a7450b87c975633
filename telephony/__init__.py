"""The words every room shares: numbers, ids, causes, errors, the clock. No I/O, no imports of ours."""
