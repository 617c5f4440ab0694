"""What a measurement means: thresholds, verdicts, and comparison with an earlier run."""
