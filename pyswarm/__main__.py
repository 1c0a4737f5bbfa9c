"""The command `pyswarm`."""

from pyswarm.cli.main import main

if __name__ == "__main__":
    main()
