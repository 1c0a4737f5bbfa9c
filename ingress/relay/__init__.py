"""The user-space data plane: a process of its own that relays published TCP ports, between nodes over mutual TLS.

Nothing heavy is imported here (no asyncio, gRPC, protobuf or model): the process is small and starts fast.
"""
