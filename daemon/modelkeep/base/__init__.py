"""What every part stands on: log, clock, workers, troubles, waiting with a deadline."""
