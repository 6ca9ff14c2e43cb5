"""Answers over HTTP from the champion, and what it keeps of them: the prediction log.

Must not import the loop: what serves knows models and tables, not why a model is the champion.
"""

__all__: list[str] = []
