"""What plug-ins register, and how they are told what happens."""
