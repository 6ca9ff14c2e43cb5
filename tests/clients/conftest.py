"""Scripts for another environment, which has what they import: nothing here is a test."""

collect_ignore_glob = ["ask_*.py"]
