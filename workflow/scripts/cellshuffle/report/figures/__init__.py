"""The figures: one module each, drawn from the files of a run alone."""
