"""What comes out of a run: one record (``report.json``), and everything that is made from it."""
