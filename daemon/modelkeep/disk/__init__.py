"""What everybody needs of the disk: looks, walks, fingerprints, mounts, durable writes."""
