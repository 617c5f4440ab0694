"""Every format that is made from the record of a run."""
