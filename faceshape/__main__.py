"""``python -m faceshape``: the command line where no script of that name is on the path."""

from faceshape.cli.main import main

if __name__ == "__main__":  # the workers of a batch import this module, too
    main()
