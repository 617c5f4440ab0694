"""What comes out of a load: for shards to merge, for reports, and for the test that asked for it."""
