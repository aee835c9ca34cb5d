"""Does the order in which cells are read from disk change what a model learns, and at what cost?"""

import os

# Read by torch when it is imported. A thread that waits for another must not spin: it would take the core
# from the thread that prepares the next batches, which on busy cores made a step up to 50 times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.1.0"
