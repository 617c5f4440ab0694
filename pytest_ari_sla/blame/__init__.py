"""Who is to blame for each bad call, and why: one table of evidence, which the documentation shows as well. Pure."""
