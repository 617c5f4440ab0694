"""From what was measured and the thresholds to a record that reports are made from."""
