"""Files that other tools keep beside models: which is whose, and what it says."""
