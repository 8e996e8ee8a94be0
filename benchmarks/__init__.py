"""Measurements of the running pipeline, as ratios within one run: absolute times depend on the machine."""
