"""The record of a run: what ``report.json`` holds, and what every format is made from."""
