"""The cloud, B3 and the whole pipeline on one machine. Nothing in the product imports this package."""
