"""For all tests: hypothesis measures no times, since a slow machine is no fault."""

from hypothesis import settings

settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
