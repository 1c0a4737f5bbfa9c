"""What the cluster shall be, and who decides it: managers."""
