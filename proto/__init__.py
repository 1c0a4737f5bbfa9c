"""The wire and log formats, and the stubs generated from them (`scripts/generate`)."""
