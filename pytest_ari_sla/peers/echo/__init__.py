"""The echo server: sends back what comes, with faults on request."""
