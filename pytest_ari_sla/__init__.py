"""Load and SLA testing of Asterisk and ARI applications, as a pytest plugin."""

__version__ = "0.1.0"
