"""Who measures, who merges, who reports: one class for each role, chosen once."""
