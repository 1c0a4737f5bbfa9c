"""Who a node is: keys, certificates, join tokens, and mutual TLS that rotates while it runs."""
