"""Tests in a browser. As a package they share one: it goes when the last of them is over."""
