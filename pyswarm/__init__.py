"""The roof: the command, a node's life, the local API, and several hosts on one machine."""
