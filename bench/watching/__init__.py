"""Watching: what its alarms and its reports are worth, beside those of others."""
