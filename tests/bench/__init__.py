"""Figures, not tests: each prints JSON rows. Run them with `make bench` on a quiet machine."""
