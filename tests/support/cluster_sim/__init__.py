"""Whole clusters in simulated time: the product's decisions as they are, and everything that takes time played.

`world` is time, network and nodes; `agent` a node's agent and engine; `users` and `troubles` what happens to it all;
`log_rules` and `state_rules` what must hold; `run` one seed from its beginning to its end.
"""
