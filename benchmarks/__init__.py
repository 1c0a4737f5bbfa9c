"""One command a figure: `python -m benchmarks.NAME` prints JSON, with a peer or a floor measured in the same run."""
