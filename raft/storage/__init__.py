"""What a member keeps on disk: data key, journal, snapshot. Everything in it is 0600 and sealed."""
