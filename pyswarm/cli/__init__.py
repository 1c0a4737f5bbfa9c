"""The command line, a client of the local socket as `docker` is. One file a noun; nothing heavy is imported early."""
