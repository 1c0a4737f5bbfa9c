"""The engine (pysyncobj), its hooks and its thread."""
