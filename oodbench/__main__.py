"""`python -m oodbench`."""

from oodbench.cli import main

main()
