"""The vocabulary of the pipeline: what a portfolio is, when B3 trades, where objects live.

Standard library only, no I/O. The same package is zipped unchanged into the Lambda and the Glue job.
"""
