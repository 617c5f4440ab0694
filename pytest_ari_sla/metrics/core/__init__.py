"""The metrics that the core measures, whatever trackers there are: one module for each family."""
