"""The one place of the version; the build and `tasky --version` read it."""

__version__ = "0.1.0"
