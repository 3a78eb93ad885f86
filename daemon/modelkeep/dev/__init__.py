"""For trying and developing: shadow files, the mock hasher, the demo library."""
