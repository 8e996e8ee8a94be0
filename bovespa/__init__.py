"""The vocabulary of the pipeline: what a portfolio is, when B3 trades, where objects live.

Standard library only, no I/O. The same package is zipped unchanged into the Lambda and the Glue job.
"""

__version__ = "0.1.0"
"""Version of the project; pyproject.toml says the same, and so do the objects that it writes."""
