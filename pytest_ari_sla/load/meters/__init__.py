"""What is measured of a load beside its media: the control plane, this process, and its machine."""
