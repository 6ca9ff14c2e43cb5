"""What the figures of serving need: a project, its peers, and something that asks them."""
