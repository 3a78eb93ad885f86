"""Everything that changes catalogue, images and journal together, and its recovery."""
