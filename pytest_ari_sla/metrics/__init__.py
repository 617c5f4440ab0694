"""What is measured: histograms, counts, their merging, and the figures made of them."""
