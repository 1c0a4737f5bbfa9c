"""JSON as Docker's Engine API has it <-> core.model, one file a noun. Pure.

`read_*` turns what a client sent into the model and raises InvalidArgument, naming the key, for anything malformed
or not there yet. `show_*` turns the model into the JSON values of an answer.
"""
