"""What must hold before the first call, asked of the target and of this host."""
