"""One module per figure; its draw(results) returns a Matplotlib figure. style and point_labels are shared."""
