"""The real world as one that the controller drives: jobs in processes, one leader, real time."""
