"""What a service needs before its tasks may be scheduled: so far, published ports. Pure."""

from manager.allocator.allocator import Allocator

__all__ = ["Allocator"]
