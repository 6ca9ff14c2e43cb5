"""Watch: what is live beside what the champion was made on, in three layers, and its report."""
