"""The agent of a node: takes assignments from the leader, runs them as containers, reports what it sees."""
