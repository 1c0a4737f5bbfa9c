"""The paths of the API, one file a noun; each lists its own in ROUTES, without the version in front."""
