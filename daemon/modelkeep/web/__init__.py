"""The page: what a person sees of the daemon in a browser; it asks only the HTTP interface."""
