"""Messages between members: gRPC streams over mutual TLS."""
