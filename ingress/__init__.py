"""Published ports: what the cluster wants becomes a plan for this node, and a relay process carries it out."""
