"""The cloud, B3 and the whole pipeline on one machine. Nothing in the product imports this package."""

import gc

# Each of its processes, and those of the tests, loads hundreds of thousands of objects that stay: modules, and AWS's
# descriptions of its services. At Python's usual rate of 700 new objects, they are looked through for garbage again and
# again while they load.
gc.set_threshold(10_000, 10, 10)
