"""For all tests: hypothesis measures no times, since a slow machine is no fault; and interrupts are heard, though a
shell that runs the tests in its background has them ignored, by every program that they start too."""

import signal

from hypothesis import settings

settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
signal.signal(signal.SIGINT, signal.default_int_handler)
