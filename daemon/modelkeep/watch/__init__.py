"""What happens in the roots: events and scans become rows of the queue."""
