"""A node's life: the daemon, join and leave, certificate renewal, the manager started and stopped with the role."""
