"""``python -m gateway.cli`` is the ``patchbay`` command."""

from gateway.cli import main

main()
