"""Alarms: what opens and closes one, and how people learn of it."""
