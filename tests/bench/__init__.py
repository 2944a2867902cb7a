"""Figures, not tests: each prints JSON rows. Run with `make bench` on a machine with nothing else to do."""
