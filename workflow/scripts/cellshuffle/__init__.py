"""Does the order in which cells are read from disk change what a model learns, and at what cost?"""

__version__ = "0.1.0"
