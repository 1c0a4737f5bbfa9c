"""Who is who: keys, certificates, join tokens, and mutual-TLS credentials that rotate while running."""
