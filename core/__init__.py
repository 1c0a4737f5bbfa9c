"""The ground floor: the model, its one codec, ids, units, errors, clock, back-off, templates and logging."""
