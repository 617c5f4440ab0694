"""The pytest hooks of the plugin, and nothing else."""
