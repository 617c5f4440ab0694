"""The client of ARI: requests, events, and the promise to leave nothing behind."""
