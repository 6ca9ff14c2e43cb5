"""What time it is for whoever answers: the machine's, or that of a simulated project.

Decided once, when this is imported, so that asking costs nothing more. Imports nothing heavy.
"""

import os

from bucle.clock import machine_micros, machine_timer

__all__ = ["micros", "timer"]

micros = machine_micros(os.environ)
"""Tells microseconds since 1970."""

timer = machine_timer(os.environ)
"""Tells seconds, to say how long something takes; in simulated time nothing takes any."""
