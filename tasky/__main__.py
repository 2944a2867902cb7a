"""`python -m tasky` is the program `tasky`."""

from tasky.cli import main

if __name__ == "__main__":
    main()
