"""A program that holds SQLite's write lock on FILE from the word ``locked`` until its standard input ends."""

from __future__ import annotations

import sqlite3
import sys


def main(path: str) -> None:
    link = sqlite3.connect(path, isolation_level=None)
    link.execute("BEGIN IMMEDIATE")
    sys.stdout.write("locked\n")
    sys.stdout.flush()
    sys.stdin.read()
    link.execute("ROLLBACK")


if __name__ == "__main__":
    main(sys.argv[1])
