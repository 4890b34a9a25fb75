"""`python -m senas` is the program `senas`."""

from senas.app.main import main

main()
